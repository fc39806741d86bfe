"""Uploads that would unpack to gigabytes, or never end: refused at once, and nothing is kept."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from PIL import Image

from tests.service import files
from tests.service.intake.conftest import MIB, send
from tests.service.live_service import JPEG, problem_of


def scan_bomb() -> bytes:
    """Return a progressive JPEG whose last scan comes again and again."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((1000, 1000)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    start = data.rindex(b"\xff\xda")

    return data[:-2] + data[start:-2] * 60 + b"\xff\xd9"


def test_a_jpeg_of_endless_scans_is_refused_at_once(
    client: httpx.Client, kept_nothing: None
) -> None:
    began = time.monotonic()
    problem_of(send(client, scan_bomb(), "image/jpeg"), 422, "undecodable")
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (files.png_bomb(), "image/png"),
        (files.jpeg_header(65_535, 65_535), "image/jpeg"),
        (files.gif_bomb(1_000_000)[: 7 * MIB], "image/gif"),
        (files.apng_bomb(1_000_000 // 10), "image/png"),
        (files.mp4_bomb(1_000_000), "video/mp4"),
    ],
    ids=[
        "png 20000x20000",
        "jpeg 65535x65535",
        "gif frames",
        "apng frames",
        "video of one byte a frame",
    ],
)
def test_a_bomb_is_refused_within_a_second_and_without_memory(
    client: httpx.Client, kept_nothing: None, content: bytes, media_type: str
) -> None:
    before = memory_bytes()
    began = time.monotonic()
    problem_of(send(client, content, media_type), 413, "media_too_large")
    assert time.monotonic() - began < 1.0
    assert memory_bytes() - before < 200 * MIB


def memory_bytes() -> int:
    """Resident memory of this process, in which the service runs, and of its children."""
    ours = psutil.Process()
    return sum(process.memory_info().rss for process in [ours, *ours.children(recursive=True)])


def test_an_endless_body_is_cut_off(client: httpx.Client, kept_nothing: None) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield JPEG

        while sent < 400 * MIB:
            sent += MIB
            yield bytes(MIB)

    began = time.monotonic()
    try:
        answer = send(client, endless(), "image/jpeg")
    except (httpx.WriteError, httpx.RemoteProtocolError):
        pass  # the server may hang up while we are still sending
    else:
        problem_of(answer, 413, "body_too_large")

    assert sent < 64 * MIB
    assert time.monotonic() - began < 5


def test_a_length_beyond_the_limit_is_refused_before_the_body(
    client: httpx.Client, kept_nothing: None
) -> None:
    host = client.base_url.host
    port = client.base_url.port
    asked = (
        "POST /v1/uploads HTTP/1.1",
        f"Host: {host}",
        "Content-Type: image/jpeg",
        "Content-Length: 999999999999",
    )

    with socket.create_connection((host, port), timeout=5) as connection:
        lines = (*asked, f"Authorization: {client.headers['authorization']}", "", "")
        connection.sendall("\r\n".join(lines).encode())
        assert b"413" in connection.recv(4096).splitlines()[0]
