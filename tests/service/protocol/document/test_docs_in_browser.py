"""/docs in Chromium: Swagger UI shows the operations, and asks nobody but this origin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.service.live_service import LiveService

CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("LIKENESS_TEST_SCREENSHOTS")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1024, "height": 900})
        browser.close()


def test_docs_show_the_operations_and_nothing_comes_from_elsewhere(
    page: Page, live: LiveService
) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda message: refused.append(message.text) if message.type == "error" else 0
    )

    page.goto(f"{live.url}/docs")
    expect(page.locator("#operations-jobs-getJob")).to_be_visible(timeout=20_000)
    assert page.get_by_text("Register a face once, swap it into any image").count() == 1
    assert page.locator(".servers select").input_value() == live.url
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/docs.png")

    own = [url for url in asked if url.startswith((live.url, "data:", "blob:"))]
    assert len(own) == len(asked) >= 5
    assert refused == []
