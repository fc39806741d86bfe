"""The embedded stack end to end: it starts by itself, keeps its state and its secrets, and survives
what dies.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import psutil
import pytest

from tests.material import PACKS, ROOT, SAMPLES
from tests.system.running_service import RunningService, image_at

VIDEO = SAMPLES / "solo_720p30.mp4"
LIVING = SAMPLES / "living_720p30.mp4"  # what the demo swaps


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A stack whose parts these tests may kill."""
    with RunningService(tmp_path_factory.mktemp("own")) as running:
        yield running


def up(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m service up` where it is expected to give up by itself."""
    command = [sys.executable, "-m", "service", "up"]
    given = {**os.environ, "LIKENESS_PORT": "0", **environment}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=100)


def test_video_job_survives_the_death_of_the_workers_child(own: RunningService) -> None:
    identity = own.register(SAMPLES / "ada_neutral.jpg").json()["id"]
    upload = own.upload(VIDEO.read_bytes(), "video/mp4").json()["id"]
    accepted = own.swap("video", upload, identity)
    assert accepted.status_code == 202, accepted.text
    job_id = accepted.json()["id"]
    _wait_for_progress(own, job_id)
    _worker_child(own, "video").kill()
    job = own.finished(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["attempt"] == 2
    assert job["result"]["frames"] == len(_frame_times(VIDEO))


def test_requests_wait_while_the_api_restarts(own: RunningService) -> None:
    api = _part(own, "service", "serve")
    api.kill()
    assert httpx.get(f"{own.url}/livez", timeout=30.0, trust_env=False).status_code == 200
    assert _part(own, "service", "serve").pid != api.pid


def test_state_survives_a_restart_and_the_key_is_shown_at_the_first_start(
    own: RunningService,
) -> None:
    identity = own.register(SAMPLES / "ben_neutral.jpg").json()["id"]
    key = own.key
    # By itself, and in the link that opens the console with it.
    assert own.printed.count(key) == 2
    assert own.stop() < 30.0
    own.start()
    assert "lk_" not in own.printed
    assert own.client.get(f"/v1/identities/{identity}").status_code == 200
    logs = "".join(path.read_text() for path in (own.data_dir / "logs").iterdir())
    assert key not in logs


def test_files_are_private(own: RunningService) -> None:
    paths = [own.data_dir, *own.data_dir.rglob("*")]
    directories = {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()}
    files = {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}
    assert directories == {0o700}
    assert files == {0o600}


def test_a_second_stack_on_the_same_data_is_refused(own: RunningService) -> None:
    second = up({"LIKENESS_DATA_DIR": str(own.data_dir)})
    assert second.returncode == 1
    assert "another stack runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_device_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    environment = {
        "LIKENESS_DATA_DIR": str(tmp_path),
        "LIKENESS_PACKS_DIR": str(PACKS),
        "LIKENESS_DEVICE": "cuda",
    }

    refused = up(environment)
    assert refused.returncode == 1
    assert "keeps ending" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_configured_store_is_used_instead_of_our_own(tmp_path: Path, store_url: str) -> None:
    with RunningService(tmp_path, {"LIKENESS_REDIS_URL": store_url}) as running:
        assert " store," not in running.printed
        assert not (tmp_path / "run" / "valkey.sock").exists()
        identity = running.register(SAMPLES / "ada_neutral.jpg").json()["id"]
        upload = running.upload((SAMPLES / "ben_neutral.jpg").read_bytes(), "image/jpeg").json()[
            "id"
        ]
        job = running.finished(running.swap("image", upload, identity).json()["id"])
        assert job["status"] == "succeeded", job["error"]


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with RunningService(tmp_path) as running:
        parts = psutil.Process(running.process.pid).children(recursive=True)
        assert len(parts) >= 4
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30.0) == 0

    assert psutil.wait_procs(parts, timeout=5.0)[1] == []


def test_a_killed_supervisor_takes_its_parts_along_and_starts_again(own: RunningService) -> None:
    parts = psutil.Process(own.process.pid).children(recursive=True)
    own.kill()
    own.start()
    assert psutil.wait_procs(parts, timeout=30.0)[1] == []
    assert own.client.get("/v1/jobs").status_code == 200


def test_demo_swaps_ada_into_a_portrait_and_a_video(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "LIKENESS_DATA_DIR": str(tmp_path),
        "LIKENESS_PACKS_DIR": str(PACKS),
    }

    demo = subprocess.run(
        [sys.executable, "-m", "service.stack.demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "encoder ran 0 times" in demo.stdout
    assert "(IIM) 0 times" in demo.stdout
    folder = tmp_path / "demo"
    assert {path.name for path in folder.iterdir()} == {
        "ben_as_ada.jpg",
        "living_as_ada.mp4",
        "contact_sheet.png",
    }

    assert image_at(folder / "ben_as_ada.jpg") == image_at(SAMPLES / "ben_neutral.jpg")
    assert _frame_times(folder / "living_as_ada.mp4") == _frame_times(LIVING)
    assert _audio_packets(folder / "living_as_ada.mp4") == _audio_packets(LIVING)


def _wait_for_progress(service: RunningService, job_id: str) -> None:
    deadline = time.monotonic() + 60.0
    while service.client.get(f"/v1/jobs/{job_id}").json()["progress"]["done"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _part(service: RunningService, *words: str) -> psutil.Process:
    """Return the stack's process whose command has these words one after the other.

    It may just be restarting.
    """
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        for process in psutil.Process(service.process.pid).children():
            if " ".join(words) in " ".join(process.cmdline()):
                return process
        time.sleep(0.05)

    raise AssertionError(f"no process {words}")


def _worker_child(service: RunningService, queue: str) -> psutil.Process:
    (child,) = _part(service, "worker", "--queue", queue).children()
    return child


def _frame_times(path: Path) -> list[float]:
    with av.open(path) as container:
        return [frame.time for frame in container.decode(video=0)]


def _audio_packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
