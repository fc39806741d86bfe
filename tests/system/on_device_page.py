"""The page of examples/on_device in a headless browser, as `make on-device` builds it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount

from service.browsers.live import LivePage

DIST = Path(__file__).parents[2] / "examples" / "on_device" / "dist"
CHROMIUM = Path("/usr/bin/chromium")
LOAD_TIMEOUT_MS = 60_000


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the URL at which a folder is served on loopback, as the service serves the page."""
    app = Starlette(routes=[Mount("/live", LivePage(folder))])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/live/"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def opened(url: str) -> Iterator[tuple[Page, list[str]]]:
    """Yield the page, and the URLs that it has asked for."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        try:
            yield page, asked
        finally:
            browser.close()


@contextmanager
def playing(url: str, identity: Path, video: Path) -> Iterator[tuple[Page, list[str]]]:
    """Yield the page while it swaps a video, and the URLs that it has asked for."""
    with opened(url) as (page, asked):
        page.set_input_files("#identity", identity)
        page.set_input_files("#clip", video)
        page.check("#agree")
        page.wait_for_selector("#start:enabled")
        page.click("#start")
        page.wait_for_selector("#figures:not(:empty)", timeout=LOAD_TIMEOUT_MS)
        yield page, asked
