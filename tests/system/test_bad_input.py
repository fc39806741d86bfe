"""What other people send by mistake or on purpose: a problem with a code, an API that stays up,
nothing left behind.
"""

from __future__ import annotations

import base64
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.material import CONSENT, SAMPLES
from tests.system.running_service import RunningService

UNKNOWN_IDENTITY = "idn_01k0000000000000000000000a"


@pytest.fixture(autouse=True)
def stays_up_and_keeps_nothing(service: RunningService, ada: str) -> object:
    before = (_files(service.data_dir), _identities(service), _jobs(service))
    yield
    assert service.client.get("/livez").status_code == 200
    assert service.client.get("/readyz").status_code == 200
    assert service.client.get(f"/v1/identities/{ada}").status_code == 200
    assert (_files(service.data_dir), _identities(service), _jobs(service)) == before


def test_photo_without_a_face_is_refused(service: RunningService, tmp_path: Path) -> None:
    photo = tmp_path / "grey.jpg"
    Image.new("RGB", (640, 480), (120, 130, 140)).save(photo)
    assert_problem(service.register(photo), 422, "no_face")


def test_photo_of_two_people_is_refused(service: RunningService, tmp_path: Path) -> None:
    photo = tmp_path / "two.jpg"
    pair = Image.new("RGB", (1600, 800))
    pair.paste(Image.open(SAMPLES / "cleo_neutral.jpg"), (0, 0))
    pair.paste(Image.open(SAMPLES / "dev_neutral.jpg"), (800, 0))
    pair.save(photo)
    assert_problem(service.register(photo), 422, "several_faces")


def test_text_named_jpg_is_refused(service: RunningService, tmp_path: Path) -> None:
    photo = tmp_path / "holiday.jpg"
    photo.write_text("not an image at all\n" * 50)
    assert_problem(service.register(photo), 415, "unsupported_media_type")
    assert_problem(service.upload(photo.read_bytes(), "image/jpeg"), 415, "unsupported_media_type")


def test_truncated_mp4_is_refused(service: RunningService) -> None:
    video = (SAMPLES / "solo_720p30.mp4").read_bytes()
    assert_problem(service.upload(video[:2000], "video/mp4"), 422, "undecodable")


def test_unknown_identity_is_not_found(service: RunningService) -> None:
    portrait = base64.b64encode((SAMPLES / "ben_neutral.jpg").read_bytes()).decode()
    body = {"input": {"base64": portrait}, "identity_id": UNKNOWN_IDENTITY}
    assert_problem(service.client.post("/v1/swaps/image", json=body), 404, "not_found")
    assert_problem(service.client.get(f"/v1/identities/{UNKNOWN_IDENTITY}"), 404, "not_found")


@pytest.mark.parametrize("key", ["lk_", "lk_nobody_" + "A" * 43, "not a key"])
def test_wrong_key_is_unauthorized(service: RunningService, key: str) -> None:
    answer = service.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_200_megapixel_png_is_refused_within_a_second(
    service: RunningService, tmp_path: Path
) -> None:
    photo = tmp_path / "bomb.png"
    photo.write_bytes(_black_png(20_000, 10_000))
    began = time.monotonic()
    assert_problem(service.upload(photo.read_bytes(), "image/png"), 413, "media_too_large")
    assert time.monotonic() - began < 1.0
    assert_problem(service.register(photo), 413, "media_too_large")


def test_registering_without_consent_is_refused(service: RunningService) -> None:
    photo = {"image": ("ada.jpg", (SAMPLES / "ada_neutral.jpg").read_bytes(), "image/jpeg")}
    assert_problem(service.client.post("/v1/identities", files=photo), 422, "consent_missing")


def test_consent_of_the_wrong_shape_is_refused(service: RunningService) -> None:
    answer = service.register(
        SAMPLES / "ada_neutral.jpg", consent={**CONSENT, "scope": "everything"}
    )
    assert_problem(answer, 422, "invalid_request")


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert {"type", "title", "detail", "instance", "request_id"} <= problem.keys()
    assert "Traceback" not in answer.text


def _files(data_dir: Path) -> set[str]:
    return {
        str(path.relative_to(data_dir))
        for path in (data_dir / "media").rglob("*")
        if path.is_file()
    }


def _identities(service: RunningService) -> set[str]:
    return {identity["id"] for identity in service.client.get("/v1/identities").json()["data"]}


def _jobs(service: RunningService) -> set[str]:
    return {job["id"] for job in service.client.get("/v1/jobs").json()["data"]}


def _black_png(width: int, height: int) -> bytes:
    """Return a valid grey PNG that is some 200 kB long: zlib packs equal rows a thousandfold."""
    packer = zlib.compressobj(9)
    body = BytesIO()
    row = bytes(1 + width)

    for _ in range(height):
        body.write(packer.compress(row))

    body.write(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body.getvalue()), (b"IEND", b""))

    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, content) for kind, content in chunks)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
