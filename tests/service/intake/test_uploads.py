"""Uploads: what is taken in, what is refused, and that refusing is quick and leaves nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx
import pytest

from tests.material import SAMPLES
from tests.service import files
from tests.service.intake.conftest import media_files, send
from tests.service.live_service import JPEG, LiveService, problem_of


@pytest.mark.parametrize(
    ("content", "media_type", "width", "height", "frames"),
    [
        (files.jpeg(), "image/jpeg", 320, 240, 1),
        (files.saved("PNG"), "image/png", 64, 48, 1),
        (files.saved("PNG", frames=5), "image/png", 64, 48, 5),
        (files.saved("WEBP"), "image/webp", 64, 48, 1),
        (files.saved("WEBP", frames=4), "image/webp", 64, 48, 4),
        (files.saved("GIF"), "image/gif", 64, 48, 1),
        (files.saved("GIF", frames=7), "image/gif", 64, 48, 7),
        (files.saved("BMP"), "image/bmp", 64, 48, 1),
        (files.saved("TIFF"), "image/tiff", 64, 48, 1),
        (files.saved("AVIF"), "image/avif", 64, 48, 1),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), "video/mp4", 1280, 720, 150),
    ],
)
def test_a_file_is_kept_and_measured(
    live: LiveService,
    client: httpx.Client,
    content: bytes,
    media_type: str,
    width: int,
    height: int,
    frames: int,
) -> None:
    answer = send(client, content, media_type)
    assert answer.status_code == 201, answer.text
    upload = answer.json()
    assert answer.headers["location"] == f"/v1/uploads/{upload['id']}"
    assert (upload["media_type"], upload["width"], upload["height"], upload["frames"]) == (
        media_type,
        width,
        height,
        frames,
    )

    assert (upload["sha256"], upload["bytes"]) == (
        hashlib.sha256(content).hexdigest(),
        len(content),
    )
    record = live.media.stat(upload["id"])
    assert live.media.blobs.read(live.media.name(record)) == content


def test_files_and_directories_are_ours_alone(live: LiveService, client: httpx.Client) -> None:
    send(client, JPEG, "image/jpeg")
    for path in live.settings.media_dir.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_an_upload_can_be_looked_at_and_removed(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload = send(client, JPEG, "image/jpeg").json()
    place = f"/v1/uploads/{upload['id']}"
    assert client.get(place).json() == upload
    job = client.post("/v1/analyses", json={"input": {"upload_id": upload["id"]}}).json()
    problem_of(client.delete(place), 409, "upload_in_use")
    client.post(job["urls"]["cancel"])
    assert client.delete(place).status_code == 204
    problem_of(client.get(place), 404, "not_found")


def test_the_digest_is_checked(client: httpx.Client, kept_nothing: None) -> None:
    headers = {
        "Content-Type": "image/jpeg",
        "Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:",
    }
    problem_of(client.post("/v1/uploads", content=JPEG, headers=headers), 422, "digest_mismatch")
    headers["Content-Digest"] = "sha-256=:not base64:"
    problem_of(client.post("/v1/uploads", content=JPEG, headers=headers), 400, "invalid_parameter")


def test_a_right_digest_is_accepted(client: httpx.Client) -> None:
    digest = base64.b64encode(hashlib.sha256(JPEG).digest()).decode()
    headers = {"Content-Type": "image/jpeg", "Content-Digest": f"sha-256=:{digest}:"}
    assert client.post("/v1/uploads", content=JPEG, headers=headers).status_code == 201


CANARY = str(SAMPLES / "solo_720p30.mp4")
NOT_MEDIA = {
    "text": b"not an image at all\n" * 50,
    "m3u8": files.playlist(CANARY),
    "ffconcat": files.concat_list(CANARY),
    "mpd": files.dash(CANARY),
    "svg": files.svg(CANARY),
    "mvg": files.mvg(CANARY),
    "pdf": b"%PDF-1.7\n" + bytes(200),
    "zip": b"PK\x03\x04" + bytes(200),
    "elf": b"\x7fELF" + bytes(200),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(100),
    "html": b"<html><script>alert(1)</script></html>",
    "polyglot": b"GIF8" + files.playlist(CANARY),
    "jpeg xl": b"\xff\x0a" + bytes(64),
}


@pytest.mark.parametrize("name", NOT_MEDIA)
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "video/mp4"])
def test_what_is_no_image_or_video_is_refused_whatever_it_says(
    client: httpx.Client, kept_nothing: None, name: str, media_type: str
) -> None:
    problem_of(send(client, NOT_MEDIA[name], media_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (JPEG, "video/mp4"),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), "image/png"),
    ],
)
def test_a_declared_type_of_another_kind_is_refused(
    client: httpx.Client, kept_nothing: None, content: bytes, media_type: str
) -> None:
    problem_of(send(client, content, media_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content", "declared", "actual"),
    [
        (JPEG, "image/png", "image/jpeg"),
        (JPEG, "application/octet-stream", "image/jpeg"),
        (JPEG, "text/plain", "image/jpeg"),
        (files.saved("WEBP"), "image/jpeg", "image/webp"),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), "video/3gpp", "video/mp4"),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), "application/octet-stream", "video/mp4"),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), "video/x-m4v", "video/mp4"),
    ],
)
def test_the_bytes_decide_what_a_file_is(
    client: httpx.Client, content: bytes, declared: str, actual: str
) -> None:
    upload = send(client, content, declared)
    assert upload.status_code == 201, upload.text
    assert upload.json()["media_type"] == actual


@pytest.mark.parametrize("head", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_a_refusal_names_the_format_and_what_is_accepted(
    client: httpx.Client, kept_nothing: None, head: bytes
) -> None:
    problem = problem_of(send(client, head + bytes(64), "image/jxl"), 415, "unsupported_media_type")

    assert "JPEG XL" in problem["detail"]
    assert "HEIC" in problem["detail"]


def test_a_phone_s_photo_is_accepted_whatever_it_is_called(client: httpx.Client) -> None:
    photo = (Path(__file__).parents[2] / "worker" / "media" / "ada.heic").read_bytes()
    for declared in ("image/heic", "image/jpeg", "application/octet-stream"):
        upload = send(client, photo, declared).json()
        assert (upload["media_type"], upload["width"], upload["height"]) == ("image/heic", 320, 320)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        ((SAMPLES / "solo_720p30.mp4").read_bytes()[:2000], "video/mp4"),
        (b"\0\0\0\x18ftypisom\0\0\2\0" + files.playlist(CANARY), "video/mp4"),
        (b"\x1a\x45\xdf\xa3webm" + bytes(500), "video/webm"),
        (b"\xff\xd8\xff\xe0" + bytes(2), "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8), "image/png"),
        (files.saved("WEBP")[:20], "image/webp"),
    ],
)
def test_a_broken_header_is_undecodable(
    client: httpx.Client, kept_nothing: None, content: bytes, media_type: str
) -> None:
    problem_of(send(client, content, media_type), 422, "undecodable")


def test_an_empty_body_is_refused(client: httpx.Client, kept_nothing: None) -> None:
    problem_of(send(client, b"", "image/png"), 422, "invalid_request")


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\x.jpg", "/etc/x.jpg", "a\x00b.jpg", "x" * 3000]
)
def test_a_file_name_is_never_used(
    live: LiveService, client: httpx.Client, tenant: str, name: str
) -> None:
    fields = {"identity_id": live.identity(tenant)}
    outside = set(live.settings.data_dir.parent.iterdir())
    before = media_files(live)
    answer = client.post(
        "/v1/swaps/image", files={"image": (name, JPEG, "image/jpeg")}, data=fields
    )
    assert answer.status_code in (202, 400), answer.text
    assert set(live.settings.data_dir.parent.iterdir()) == outside
    assert all(path.name.startswith("upl_") for path in media_files(live) - before)


def test_a_file_may_come_in_a_form(client: httpx.Client) -> None:
    answer = client.post("/v1/uploads", files={"file": ("a.bin", JPEG, "application/octet-stream")})
    assert answer.status_code == 201
    assert answer.json()["media_type"] == "image/jpeg"


@pytest.mark.parametrize("form", [{"other": JPEG}, {}])
def test_a_form_without_its_file_is_told_what_is_missing(
    client: httpx.Client, kept_nothing: None, form: dict[str, bytes]
) -> None:
    note = {"note": (None, "no file")}
    problem_of(client.post("/v1/uploads", files={**form, **note}), 422, "invalid_request")
