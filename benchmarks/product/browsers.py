"""E-5 and E-6: what a browser can do, in headless Chromium on a whole stack."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Error

from benchmarks.bar import Figure, bar
from tests.console import journey
from tests.console.browser import Visit, browser, visit
from tests.examples.browser_upload import swap_from_another_origin
from tests.material import SAMPLES
from tests.system.running_service import RunningService

# Every page of the console's menu: one that is added there has to be added here.
PAGES = ("swap", "people", "jobs", "webhooks", "keys", "audit")
# A phone, where the layout is that of narrow windows (below 736 px), a laptop and a desktop.
WIDTHS = (390, 1024, 1920)
# On a slow mobile line, 1.6 Mbit/s, this takes under a second.
FIRST_LOAD_BYTES = 150 * 1024


@bar("E-5")
def another_origin() -> Figure:
    """Steps that fail on a page of another origin."""
    with _stack() as service, browser() as chromium:
        seen = swap_from_another_origin(service, chromium)

    for name, value in seen.items():
        print(f"{name}: {value}")

    done = (seen["registered"], seen["is_elsewhere"], seen["followed"], seen["width"] == 1280)
    # The video of the sample has 1280 px: one that does not play has none.
    failed = sum(not step for step in done)
    return Figure(failed, "of 4 steps", "0", failed == 0 and seen["problems"] == [])


@bar("E-6")
def console() -> Figure:
    """Findings on the console."""
    with _stack() as service, browser() as chromium:
        findings = [
            *_whole_path(service, chromium),
            *_every_page(service, chromium),
            *_first_load(service.url),
        ]

    for finding in findings:
        print(finding)

    return Figure(len(findings), "findings", "0", not findings)


def _whole_path(service: RunningService, chromium: Browser) -> Iterator[str]:
    with visit(chromium, f"{service.url}/#key={service.key}") as opened:
        page = opened.page
        try:
            journey.choose_target(page, SAMPLES / "solo_720p30.mp4")
            journey.enrol(page)
            journey.preview(page)
            journey.swap(page, "video")
            journey.move_slider(page)
            # While the result is on the page, which no page of the menu shows.
            yield from (f"result: {one}" for one in opened.violations())
            journey.withdraw(page)
        except (AssertionError, Error) as error:
            # The first line says what was waited for; a call log of pages follows it.
            yield f"the path breaks off: {str(error).splitlines()[0]}"

        yield from _noted(opened)


def _every_page(service: RunningService, chromium: Browser) -> Iterator[str]:
    for width in WIDTHS:
        for dark in (False, True):
            where = f"{width} px, {'dark' if dark else 'light'}"
            with visit(
                chromium, f"{service.url}/#key={service.key}", width=width, dark=dark
            ) as opened:
                for name in PAGES:
                    opened.page.goto(f"{opened.origin}/#/{name}")
                    # Lists fill from the API: before that there is little for axe-core to judge.
                    opened.page.wait_for_load_state("networkidle")
                    yield from (f"{name}, {where}: {one}" for one in opened.violations())
                    if opened.overflow_px() > 0:
                        yield f"{name}, {where}: wider than the window"

                yield from _noted(opened)


def _noted(opened: Visit) -> Iterator[str]:
    yield from (f"requests {url}" for url in opened.elsewhere)
    yield from (f"says {problem}" for problem in opened.problems)


def _first_load(url: str) -> Iterator[str]:
    page = httpx.get(url, trust_env=False)
    # What the page itself names: everything else is loaded when it is needed.
    names = re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text)
    size = len(page.content)
    for name in names:
        size += len(httpx.get(url + name, trust_env=False).content)

    print(f"first load: {size / 1024:.0f} KB, before compression")
    if size > FIRST_LOAD_BYTES:
        yield f"the first load has {size} bytes"


@contextmanager
def _stack() -> Iterator[RunningService]:
    with tempfile.TemporaryDirectory() as folder, RunningService(Path(folder)) as service:
        yield service
