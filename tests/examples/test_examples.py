"""Each example, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api")

from tests.console.browser import CHROMIUM, browser
from tests.examples.browser_upload import (
    EXAMPLES,
    environment,
    serving,
    swap_from_another_origin,
)
from tests.material import SAMPLES
from tests.object_server import ObjectServer
from tests.service.live_service import until
from tests.system.running_service import RunningService, image_at

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    trusting = {"LIKENESS_TRUSTED_NETWORKS": '["127.0.0.1/32"]'}  # the receiver is on loopback
    with RunningService(tmp_path_factory.mktemp("stack"), trusting) as running:
        yield running


def _run(
    service: RunningService, *command: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=EXAMPLES,
        env=environment(service) | dict(more or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_photo_booth(service: RunningService, tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for name in ("ben_neutral.jpg", "dev_smile.jpg"):
        (scenes / name).write_bytes((SAMPLES / name).read_bytes())

    prints = tmp_path / "prints"
    photo = str(SAMPLES / "ada_neutral.jpg")
    ran = _run(
        service, "photo_booth/photo_booth.py", photo, str(scenes), str(prints), "--visitor", "ada"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sorted(file.name for file in prints.iterdir()) == ["ben_neutral.jpg", "dev_smile.jpg"]
    # A worker's sweep erases them, within seconds of their jobs' ends.
    until(lambda: service.client.get("/v1/identities").json()["data"] == [], timeout_s=30)


def test_batch_folder(service: RunningService, tmp_path: Path) -> None:
    targets = tmp_path / "targets"
    targets.mkdir()
    (targets / "ben.jpg").write_bytes((SAMPLES / "ben_smile.jpg").read_bytes())
    Image.new("RGB", (400, 300), "white").save(targets / "nobody.png")

    out = tmp_path / "out"
    photo = str(SAMPLES / "ada_neutral.jpg")
    command = ("batch_folder/batch_folder.py", photo, str(targets), str(out), "--subject", "ada")
    ran = _run(service, *command)
    assert ran.returncode == 1, ran.stdout + ran.stderr

    report = (out / "report.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in report[1:]] == [
        ["ben.jpg", "done"],
        ["nobody.png", "failed"],
    ]
    assert image_at(out / "ben.jpg") == image_at(targets / "ben.jpg")
    assert service.client.get("/v1/identities").json()["data"] == []


def test_s3_folder(service: RunningService, tmp_path: Path) -> None:
    objects = ObjectServer()
    try:
        bucket = objects.new_bucket().removeprefix("s3://").partition("/")[0]
        for name in ("ben_neutral.jpg", "dev_smile.jpg"):
            objects.client.upload_file(str(SAMPLES / name), bucket, f"raw/day one/{name}")
        objects.client.put_object(Bucket=bucket, Key="raw/notes.txt", Body=b"no target")

        photo = str(SAMPLES / "ada_neutral.jpg")
        command = ("s3_folder/s3_folder.py", photo, f"s3://{bucket}/raw", f"s3://{bucket}/done")
        for times in (2, 0):  # the second run finds everything done
            ran = _run(service, *command, "--subject", "ada", more=objects.environment)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert ran.stdout.count(": done") == times

        out = tmp_path / "out.jpg"
        objects.client.download_file(bucket, "done/day one/ben_neutral.jpg", str(out))
        assert image_at(out) == image_at(SAMPLES / "ben_neutral.jpg")
        assert out.read_bytes() != (SAMPLES / "ben_neutral.jpg").read_bytes()
        assert "done/notes.txt" not in objects.names(f"s3://{bucket}")
    finally:
        objects.close()

    assert service.client.get("/v1/identities").json()["data"] == []


def test_webhook_receiver(service: RunningService, tmp_path: Path) -> None:
    identity = service.register(SAMPLES / "ada_neutral.jpg").json()["id"]
    upload = service.upload((SAMPLES / "ben_neutral.jpg").read_bytes(), "image/jpeg").json()["id"]
    secret = service.client.get("/v1/webhook-endpoints/default/secret").json()["secret"]
    command = ("webhook_receiver/webhook_receiver.py", "--secret", secret, "--port", "0")

    with serving(service, *command, "--out", str(tmp_path)) as address:
        job = service.swap("image", upload, identity, webhook=f"{address}/hook").json()
        kept = tmp_path / f"{job['id']}.jpeg"
        until(kept.exists, timeout_s=60)

    assert image_at(kept)[0] == "JPEG"
    service.client.delete(f"/v1/identities/{identity}")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_browser_upload(service: RunningService) -> None:
    with browser() as chromium:
        seen = swap_from_another_origin(service, chromium)

    assert seen == {
        "registered": True,
        "followed": True,
        "width": 1280,
        "is_elsewhere": True,
        "problems": [],
    }
