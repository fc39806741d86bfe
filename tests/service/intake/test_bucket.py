"""The API with its media in a bucket: what it takes in, hands out, and removes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.object_server import ObjectServer
from tests.service.live_service import JPEG, LiveService, problem_of
from tests.store_server import StoreServer
from worker.stores.identities.identity_vault import folder_of

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def in_bucket(own_store_server: StoreServer, bucket: str) -> Iterator[LiveService]:
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        settings = Settings(
            data_dir=Path(directory) / "data",
            packs_dir=Path(directory),
            redis_url=own_store_server.url,
            media=bucket,
        )
        with LiveService(settings) as live:
            yield live


def files(live: LiveService) -> list[Path]:
    """Return the files on this machine's disk: there should be none."""
    return [path for path in live.settings.media_dir.rglob("*") if path.is_file()]


def test_uploads_and_results_lie_in_the_bucket_until_they_are_deleted(
    in_bucket: LiveService, object_server: ObjectServer, bucket: str
) -> None:
    with in_bucket.client() as client:
        assert client.get("/readyz").json()["checks"]["media"] is True
        upload = client.post("/v1/uploads", content=JPEG, headers={"Content-Type": "image/jpeg"})
        upload_id = upload.json()["id"]
        job = in_bucket.job(client, input={"upload_id": upload_id})
        in_bucket.finish(job["id"], CONTENT)
        assert files(in_bucket) == []

        names = "\n".join(object_server.names(bucket))
        assert upload_id in names
        assert job["id"] in names

        result = job["urls"]["result"]
        whole = client.get(result)
        assert whole.content == CONTENT
        part = client.get(result, headers={"Range": "bytes=500000-500009"})
        assert (part.status_code, part.content) == (206, CONTENT[500_000:500_010])
        assert client.get(result, headers={"If-None-Match": whole.headers["etag"]}).content == b""

        assert client.delete(job["urls"]["self"]).status_code == 204
        problem_of(client.get(result), 404, "not_found")

    names = "\n".join(object_server.names(bucket))
    assert upload_id not in names
    assert job["id"] not in names


def test_a_file_is_put_past_the_service(
    in_bucket: LiveService, object_server: ObjectServer, bucket: str
) -> None:
    with in_bucket.client() as client, httpx.Client(trust_env=False) as browser:
        made = client.post("/v1/uploads/presigned", json={"bytes": len(JPEG)}).json()
        early = client.post(made["complete"])
        problem_of(early, 409, "upload_incomplete")

        assert browser.put(made["url"], content=JPEG).status_code == 200
        upload = client.post(made["complete"])
        assert upload.status_code == 201, upload.text
        assert upload.json()["id"] == made["id"]
        assert upload.json()["width"] == 800
        assert client.post(made["complete"]).json() == upload.json()

        # What comes late lies beside the upload, and goes with the next sweep.
        browser.put(made["url"], content=b"something else")
        names = [name for name in object_server.names(bucket) if made["id"] in name]
        assert any("/uploads/" in name for name in names)
        assert in_bucket.media.partials.sweep(age_s=-60) == 1
        assert client.get(f"/v1/uploads/{made['id']}").json() == upload.json()

        wrong = client.post("/v1/uploads/presigned", json={"bytes": 100}).json()
        browser.put(wrong["url"], content=JPEG)
        problem_of(client.post(wrong["complete"]), 413, "body_too_large")
        problem_of(client.post(wrong["complete"]), 404, "not_found")


def test_parts_lie_in_the_bucket_until_they_are_whole(
    in_bucket: LiveService, object_server: ObjectServer, bucket: str
) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    part = {**tus, "Content-Type": "application/offset+octet-stream"}
    with in_bucket.client() as client:
        made = client.post(
            "/v1/uploads/resumable", headers={**tus, "Upload-Length": str(len(JPEG))}
        )
        place = made.headers["location"]
        client.patch(place, content=JPEG[:70_000], headers={**part, "Upload-Offset": "0"})
        assert files(in_bucket) == []
        assert any("/partials/" in name for name in object_server.names(bucket))

        rest = {**part, "Upload-Offset": "70000"}
        assert client.patch(place, content=JPEG[70_000:], headers=rest).status_code == 204
        assert client.get(f"/v1/uploads/{made.json()['id']}").json()["bytes"] == len(JPEG)
        assert not any("/partials/" in name for name in object_server.names(bucket))
        assert files(in_bucket) == []


def test_an_erased_identity_leaves_nothing_in_the_bucket(
    in_bucket: LiveService, object_server: ObjectServer, bucket: str
) -> None:
    identity = in_bucket.identity()
    assert any(folder_of(identity) in name for name in object_server.names(bucket))
    assert in_bucket.identities.code(identity) == b"code"

    with in_bucket.client() as client:
        assert client.delete(f"/v1/identities/{identity}").status_code == 200

    assert not any(identity in name for name in object_server.names(bucket))
    assert files(in_bucket) == []


def test_a_bucket_that_is_away_is_a_503_that_readiness_sees(
    in_bucket: LiveService, object_server: ObjectServer, bucket: str
) -> None:
    with in_bucket.client() as client:
        job = in_bucket.job(client)
        in_bucket.finish(job["id"])
        for name in object_server.names(bucket):
            object_server.client.delete_object(
                Bucket=bucket.removeprefix("s3://").partition("/")[0], Key=name
            )

        # Emptied, as another bucket would be: not taken for results that have expired.
        assert client.get("/readyz").json()["checks"]["media"] is False
        problem_of(client.get(job["urls"]["result"]), 503, "media_unavailable")
