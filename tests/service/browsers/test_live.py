"""The live page: its files and what it may ask for, or how to build it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from service.browsers.live import LivePage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = tmp_path / "live"
    (built / "wasm").mkdir(parents=True)
    (built / "index.html").write_text("<title>Live</title>")
    (built / "wasm" / "runtime.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret").write_text("not of the page")
    return built


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=[Mount("/live", LivePage(folder))])) as client:
        yield client


def test_the_page_asks_only_its_own_origin(client: TestClient) -> None:
    answer = client.get("/live/")

    assert answer.status_code == 200
    assert "camera=(self)" in answer.headers["Permissions-Policy"]
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]


def test_webassembly_has_its_type_and_is_sent_once(client: TestClient) -> None:
    answer = client.get("/live/wasm/runtime.wasm")
    again = client.get("/live/wasm/runtime.wasm", headers={"If-None-Match": answer.headers["ETag"]})

    assert answer.headers["Content-Type"] == "application/wasm"
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["missing.js", "../secret", "..%2fsecret", "%2e%2e/secret"])
def test_only_files_of_the_page_are_served(client: TestClient, name: str) -> None:
    assert client.get(f"/live/{name}").status_code == 404


def test_an_installation_without_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    with TestClient(Starlette(routes=[Mount("/live", LivePage(tmp_path / "none"))])) as client:
        answer = client.get("/live/")

    assert answer.status_code == 404
    assert "make on-device" in answer.text
