"""The journey of the example page: used by its test and by bar E-5."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect

from tests.console.browser import visit
from tests.material import ROOT, SAMPLES
from tests.system.running_service import RunningService

EXAMPLES = ROOT / "examples"
SWAP_TIMEOUT_MS = 240_000


def environment(service: RunningService) -> dict[str, str]:
    """Return what an example finds in its environment."""
    return {
        **os.environ,
        "LIKENESS_URL": service.url,
        "LIKENESS_API_KEY": service.key or "",
        "PYTHONPATH": str(ROOT / "clients" / "python"),
    }


@contextmanager
def serving(service: RunningService, *command: str) -> Iterator[str]:
    """Run an example that serves, and yield the address that it prints."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=EXAMPLES,
        env=environment(service),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+:\d+", line)
            assert found, line
            yield found.group()
        finally:
            process.kill()


def swap_from_another_origin(service: RunningService, browser: Browser) -> dict[str, object]:
    """Register, upload, swap, follow and play from the example's page; return what was seen."""
    with (
        serving(service, "browser_upload/server.py", "--port", "0") as origin,
        visit(browser, origin) as opened,
    ):
        page = opened.page
        reached = set[str]()
        page.on("response", lambda answer: reached.add(answer.url.split("?")[0]))
        page.locator("#photo").set_input_files(str(SAMPLES / "ada_neutral.jpg"))
        page.locator("#video").set_input_files(str(SAMPLES / "solo_720p30.mp4"))
        page.locator("#agreed").check()
        page.get_by_role("button", name="Swap").click()

        expect(page.locator("#state")).to_contain_text("of 150 frames", timeout=SWAP_TIMEOUT_MS)
        expect(page.locator("#state")).to_have_text("Done.", timeout=SWAP_TIMEOUT_MS)
        page.wait_for_function("document.getElementById('result').videoWidth > 0")

        return {
            "registered": any(url.endswith("/v1/identities") for url in reached),
            "followed": any(url.endswith("/events") for url in reached),
            "width": page.locator("#result").evaluate("one => one.videoWidth"),
            "is_elsewhere": origin != service.url,
            "problems": opened.problems,
        }
