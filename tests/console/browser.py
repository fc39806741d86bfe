"""Debian's Chromium, driven by Playwright, on a page of the console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).resolve().parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
# Rules of WCAG 2.2 A and AA, and axe's own best practices.
CHECKS = "axe.run(document, {resultTypes: ['violations']})"


@dataclass
class Visit:
    """One page, and what it asked for."""

    page: Page
    origin: str
    elsewhere: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        """Keep a request that leaves the origin."""
        url = urlsplit(request.url)
        if url.scheme in ("http", "https") and f"{url.scheme}://{url.netloc}" != self.origin:
            self.elsewhere.append(request.url)

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong with the page as it is now."""
        self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate(CHECKS)
        return [
            f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:120]})"
            for one in found["violations"]
        ]

    def overflow_px(self) -> int:
        """Return how many pixels wider than the window the page is."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            ],
        )
        yield started
        started.close()


@contextmanager
def visit(
    browser: Browser, url: str, *, width: int = 1024, height: int = 800, dark: bool = False
) -> Iterator[Visit]:
    """Open `url` in a context of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        # Playwright's own scripts are not the page's: the policy that it runs under stays.
        bypass_csp=False,
    )
    page = context.new_page()
    parts = urlsplit(url)
    opened = Visit(page, f"{parts.scheme}://{parts.netloc}")
    page.on("request", opened.note_request)
    page.on("pageerror", lambda error: opened.problems.append(str(error)))
    page.on(
        "console",
        lambda said: opened.problems.append(said.text) if said.type == "error" else None,
    )
    page.goto(url)
    yield opened
    context.close()
