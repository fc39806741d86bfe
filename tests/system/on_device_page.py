"""The page of examples/on_device in a headless browser, as `make on-device` builds it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DIST = Path(__file__).parents[2] / "examples" / "on_device" / "dist"
CHROMIUM = Path("/usr/bin/chromium")
LOAD_TIMEOUT_MS = 60_000


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves the page as it should be served: isolated, so that it may use threads."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the URL at which a folder is served on loopback."""
    handler = functools.partial(_Files, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


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
def playing(url: str, identity: Path, clip: Path) -> Iterator[tuple[Page, list[str]]]:
    """Yield the page while it swaps a clip, and the URLs that it has asked for."""
    with opened(url) as (page, asked):
        page.set_input_files("#identity", identity)
        page.set_input_files("#clip", clip)
        page.check("#agree")
        page.wait_for_selector("#start:enabled")
        page.click("#start")
        page.wait_for_selector("#figures:not(:empty)", timeout=LOAD_TIMEOUT_MS)
        yield page, asked
