"""Uploads in parts, by tus 1.0: with a client that others wrote, and against the bounds."""

from __future__ import annotations

import io
import socket
import threading
import time

import httpx
from tusclient import client as tus

from tests.material import SAMPLES
from tests.service.intake.conftest import media_files
from tests.service.live_service import JPEG, LiveService, problem_of, until
from worker.process.upkeep.expiry import ExpirySweep

PLACE = "/v1/uploads/resumable"
PART = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
VIDEO = SAMPLES / "solo_720p30.mp4"
FIRST = JPEG[:50_000]
REST = JPEG[50_000:]


def begun(client: httpx.Client, length: int) -> str:
    """Return the address of a new upload of so many bytes."""
    made = client.post(PLACE, headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(length)})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{PLACE}/{made.json()['id']}"
    return made.headers["location"]


def sent(client: httpx.Client, place: str, offset: int, part: bytes) -> httpx.Response:
    return client.patch(place, content=part, headers={**PART, "Upload-Offset": str(offset)})


def whole(client: httpx.Client, place: str) -> httpx.Response:
    """Return the answer about the upload that has come in parts."""
    return client.get(f"/v1/uploads/{place.rpartition('/')[2]}")


def test_a_client_that_others_wrote_uploads_in_parts(client: httpx.Client) -> None:
    headers = {"Authorization": client.headers["authorization"]}
    theirs = tus.TusClient(str(client.base_url.join(PLACE)), headers=headers)
    uploader = theirs.uploader(file_stream=io.BytesIO(VIDEO.read_bytes()), chunk_size=200_000)
    uploader.upload()

    upload = whole(client, uploader.url).json()
    assert upload["media_type"] == "video/mp4"
    assert upload["bytes"] == VIDEO.stat().st_size
    assert upload["frames"] == 150
    assert upload["id"] in client.get("/v1/uploads").text


def test_an_upload_goes_on_where_it_was(client: httpx.Client) -> None:
    place = begun(client, len(JPEG))
    first = sent(client, place, 0, FIRST)
    assert (first.status_code, first.headers["upload-offset"]) == (204, "50000")

    asked = client.head(place)
    assert asked.headers["upload-offset"] == "50000"
    assert asked.headers["upload-length"] == str(len(JPEG))
    assert asked.headers["cache-control"] == "no-store"
    problem_of(sent(client, place, 0, JPEG), 409, "upload_offset")
    problem_of(sent(client, place, 50_000, JPEG), 413, "body_too_large")
    problem_of(whole(client, place), 404, "not_found")

    assert sent(client, place, 50_000, REST).status_code == 204
    # The last answer may be lost: whoever asks again is told that all is there.
    assert client.head(place).headers["upload-offset"] == str(len(JPEG))
    upload = whole(client, place).json()
    assert (upload["width"], upload["bytes"]) == (800, len(JPEG))


def test_what_came_before_the_connection_broke_is_kept(client: httpx.Client) -> None:
    place = begun(client, len(JPEG))
    half = JPEG[:66_000]  # a part that is too small would not be kept
    head = (
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Authorization: {client.headers['authorization']}\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(JPEG)}\r\n\r\n"
    )
    there = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(there) as connection:
        connection.sendall(head.encode() + half)

    until(lambda: client.head(place).headers["upload-offset"] == str(len(half)))
    assert sent(client, place, len(half), JPEG[len(half) :]).status_code == 204
    assert whole(client, place).json()["bytes"] == len(JPEG)


def test_of_equal_parts_at_once_one_is_added(client: httpx.Client) -> None:
    place = begun(client, len(JPEG))
    answers: list[int] = []

    def send_first() -> None:
        headers = dict(client.headers)
        with httpx.Client(base_url=client.base_url, headers=headers, trust_env=False) as own:
            answers.append(sent(own, place, 0, FIRST).status_code)

    threads = [threading.Thread(target=send_first) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [204, 409, 409, 409, 409, 409]
    assert client.head(place).headers["upload-offset"] == str(len(FIRST))
    assert sent(client, place, len(FIRST), REST).status_code == 204


def test_a_wrong_file_is_refused_with_its_first_part_or_its_last(
    client: httpx.Client, kept_nothing: None
) -> None:
    place = begun(client, 1_000_000)
    refused = sent(client, place, 0, b"no image at all " * 500)
    problem_of(refused, 415, "unsupported_media_type")
    assert client.delete(place).status_code == 204

    place = begun(client, 600)
    refused = sent(client, place, 0, JPEG[:600])
    assert refused.status_code == 422, refused.text
    problem_of(client.get(place), 404, "not_found")


def test_bounds_and_headers(client: httpx.Client, live: LiveService) -> None:
    limit = live.settings.max_upload_bytes
    for length, status, code in (
        (str(limit + 1), 413, "body_too_large"),
        ("0", 400, "invalid_parameter"),
        ("-5", 400, "invalid_parameter"),
        ("many", 400, "invalid_parameter"),
        ("9" * 40, 400, "invalid_parameter"),
    ):
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": length}
        problem_of(client.post(PLACE, headers=headers), status, code)

    refused = client.post(PLACE, headers={"Tus-Resumable": "0.2.2", "Upload-Length": "5"})
    problem_of(refused, 412, "tus_version")
    assert refused.headers["tus-version"] == "1.0.0"

    told = client.options(PLACE)
    assert told.headers["tus-extension"] == "creation,expiration,termination"
    assert told.headers["tus-max-size"] == str(limit)

    place = begun(client, 5)
    wrong = client.patch(place, content=b"x", headers={"Upload-Offset": "0"})
    problem_of(wrong, 415, "unsupported_media_type")


def test_parts_count_as_stored_and_go_with_their_upload(
    client: httpx.Client, live: LiveService, tenant: str
) -> None:
    def stored() -> int:
        return live.media.storage.of_tenant(tenant)[0]

    files = media_files(live)
    before = stored()
    place = begun(client, len(JPEG))
    sent(client, place, 0, FIRST)
    assert stored() - before == len(FIRST)

    assert client.delete(place).status_code == 204
    assert stored() == before
    problem_of(client.get(place), 404, "not_found")
    assert media_files(live) == files

    place = begun(client, len(JPEG))
    sent(client, place, 0, FIRST)
    sent(client, place, len(FIRST), REST)
    assert stored() - before == len(JPEG)
    assert len(media_files(live) - files) == 1


def test_too_many_unfinished_uploads_are_refused(client: httpx.Client) -> None:
    places = [begun(client, 10) for _ in range(64)]
    refused = client.post(PLACE, headers={"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
    problem_of(refused, 429, "quota_exceeded")
    assert client.delete(places[0]).status_code == 204
    begun(client, 10)


def test_what_is_never_finished_expires(
    client: httpx.Client, live: LiveService, tenant: str
) -> None:
    files = media_files(live)
    before = live.media.storage.of_tenant(tenant)[0]
    place = begun(client, len(JPEG))
    sent(client, place, 0, FIRST)

    tomorrow = time.time() + 25 * 3600
    ExpirySweep(live.media, live.identities, clock=lambda: tomorrow).run()
    problem_of(client.get(place), 404, "not_found")
    assert media_files(live) <= files
    assert live.media.storage.of_tenant(tenant)[0] <= before


def test_another_tenant_s_upload_is_unknown(client: httpx.Client, live: LiveService) -> None:
    place = begun(client, 100)
    with live.client("somebody-else") as other:
        problem_of(other.get(place), 404, "not_found")
        problem_of(sent(other, place, 0, b"x"), 404, "not_found")
        problem_of(other.delete(place), 404, "not_found")


def test_presigned_urls_need_a_bucket(client: httpx.Client) -> None:
    refused = client.post("/v1/uploads/presigned", json={"bytes": 10})
    problem_of(refused, 409, "presigned_unavailable")
