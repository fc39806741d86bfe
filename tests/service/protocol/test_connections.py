"""E5: connections that say nothing, or little by little, are closed and keep nobody out."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.service.live_service import LiveService

HEADER_TIMEOUT_S = 1.0
MAX_CONNECTIONS = 40


@pytest.fixture(scope="module")
def bounded(live: LiveService) -> Iterator[LiveService]:
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        changes = {
            "data_dir": Path(directory) / "data",
            "header_timeout_s": HEADER_TIMEOUT_S,
            "max_connections": MAX_CONNECTIONS,
        }
        with LiveService(live.settings.model_copy(update=changes)) as service:
            yield service


def connect(service: LiveService) -> socket.socket:
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port), timeout=10)


@pytest.mark.parametrize(
    "said", [b"", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nX: "]
)
def test_headers_that_do_not_come_end_the_connection(bounded: LiveService, said: bytes) -> None:
    with connect(bounded) as connection:
        connection.sendall(said)
        began = time.monotonic()
        assert connection.recv(100) == b""
        assert HEADER_TIMEOUT_S - 0.5 < time.monotonic() - began < HEADER_TIMEOUT_S + 3


def test_headers_byte_by_byte_end_the_connection(bounded: LiveService) -> None:
    began = time.monotonic()
    with connect(bounded) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX-Padding: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            drip(connection, for_s=10)

    assert time.monotonic() - began < HEADER_TIMEOUT_S + 3


def drip(connection: socket.socket, for_s: float) -> None:
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        connection.sendall(b"a")
        time.sleep(0.05)


def test_the_headers_of_a_second_request_have_the_same_time(bounded: LiveService) -> None:
    with connect(bounded) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in connection.recv(4096)
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        began = time.monotonic()

        while connection.recv(4096):
            continue

        assert time.monotonic() - began < HEADER_TIMEOUT_S + 3


def test_a_request_in_progress_is_not_interrupted(
    bounded: LiveService, live: LiveService, tenant: str
) -> None:
    with bounded.client(tenant) as client:
        job = bounded.job(client, tenant)
        began = time.monotonic()
        answer = client.get(job["urls"]["self"], headers={"Prefer": "wait=3"})
        assert answer.status_code == 200
        assert time.monotonic() - began > 2.5


def test_idle_connections_make_room_for_new_ones(bounded: LiveService) -> None:
    with ExitStack() as stack:
        for _ in range(5 * MAX_CONNECTIONS):
            stack.enter_context(connect(bounded))
        answer = httpx.get(f"{bounded.url}/livez", timeout=5)
        assert answer.status_code == 200
