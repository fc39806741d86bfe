"""Who may verify, how often, and what an untrusted file cannot make the service do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from tests.service.live_service import JPEG, LiveService, problem_of
from tests.service.trust.publisher import Publisher, with_remote_manifest


def test_a_remote_manifest_is_never_fetched(
    visitor: httpx.Client, publisher: Publisher, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    try:
        url = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
        data = with_remote_manifest(url)
        assert url.encode() in data
        assert visitor.post("/v1/verify", content=data).status_code == 200
    finally:
        server.shutdown()
        server.server_close()

    assert asked == []


def test_nothing_of_a_file_stays_on_the_disk(live: LiveService, visitor: httpx.Client) -> None:
    marker = b"a marker that is in no other file, 7f3c"
    visitor.post("/v1/verify", content=JPEG + marker)
    kept = [path for path in live.settings.data_dir.rglob("*") if path.is_file()]
    assert [path for path in kept if marker in path.read_bytes()] == []


def test_damaged_files_do_not_break_the_service(
    visitor: httpx.Client, live: LiveService, publisher: Publisher
) -> None:
    draw = np.random.default_rng(11)
    data = publisher.image()
    # Decoders are what is tried, not the search for marks, which takes a second in a large image.
    small = cv2.imencode(".jpg", draw.integers(0, 256, (96, 128, 3), np.uint8))[1].tobytes()

    for number in range(24):  # thirty a minute are allowed
        whole = small if number % 6 else data
        broken = bytearray(whole)
        for place in draw.integers(0, len(whole), 30):
            broken[place] = int(draw.integers(0, 256))

        answer = visitor.post("/v1/verify", content=bytes(broken))
        assert answer.status_code in (200, 422), answer.text

    assert visitor.post("/v1/verify", content=data).json()["verdict"] == "made_here"


def test_a_thirty_first_request_in_a_minute_is_refused(visitor: httpx.Client) -> None:
    body = {"sha256": "0" * 64}
    assert {visitor.post("/v1/verify", json=body).status_code for _ in range(30)} == {200}
    answer = visitor.post("/v1/verify", json=body)
    problem_of(answer, 429, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 0


def test_the_page_loads_nothing_from_elsewhere(visitor: httpx.Client) -> None:
    page = visitor.get("/verify")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    assert visitor.get("/verify.js").headers["content-type"].startswith("text/javascript")


@pytest.fixture
def allowing(live: LiveService) -> Iterator[Callable[[str], None]]:
    """Sets who may verify, until the test ends."""
    state = live.app.state.service

    def set_to(verify: str) -> None:
        settings = state.settings.model_copy(update={"verify": verify})
        live.app.state.service = replace(state, settings=settings)

    yield set_to
    live.app.state.service = state


def test_an_operator_may_ask_for_keys_or_turn_verification_off(
    visitor: httpx.Client, client: httpx.Client, allowing: Callable[[str], None]
) -> None:
    body = {"sha256": "0" * 64}
    allowing("keyed")
    problem_of(visitor.post("/v1/verify", json=body), 401, "unauthorized")
    assert client.post("/v1/verify", json=body).status_code == 200
    assert visitor.get("/verify").status_code == 404

    allowing("off")
    problem_of(client.post("/v1/verify", json=body), 404, "not_found")
    problem_of(client.get("/v1/verify/manifests/00c0ffee"), 404, "not_found")


def test_large_bodies_are_refused_before_they_are_read(live: LiveService) -> None:
    with socket.create_connection(
        (httpx.URL(live.url).host, httpx.URL(live.url).port or 0)
    ) as line:
        line.settimeout(10)
        line.sendall(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n")
        assert line.recv(1024).startswith(b"HTTP/1.1 413")
