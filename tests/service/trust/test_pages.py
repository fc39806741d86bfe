"""The pages as people see them, in Chromium: what they answer, at every width and colour."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.material import SAMPLES
from tests.service.live_service import LiveService
from tests.service.trust.publisher import Publisher
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog
from worker.stores.key_store import SCOPES, KeyStore

CHROMIUM = shutil.which("chromium")
# A folder, to look at what the pages look like.
SHOTS = os.environ.get("LIKENESS_TEST_SCREENSHOTS")
UNREADABLE = {"code": "undecodable", "detail": "The file cannot be examined"}
WIDTHS = (390, 1024, 1920)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live: LiveService) -> Iterator[Page]:
    """A page on which nothing may fail, and nothing may be fetched from elsewhere."""
    live.app.state.service.visitors.forget()
    context = browser.new_context(base_url=live.url)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(live.url) else errors.append(request.url),
    )
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def publisher(live: LiveService, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(live.settings.data_dir, tmp_path_factory.mktemp("made"))


def looked_at(page: Page, name: str) -> None:
    """Nothing is cut off at any width; with LIKENESS_TEST_SCREENSHOTS each view is kept."""
    for colour in ("light", "dark"):
        page.emulate_media(color_scheme=colour)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, (name, width)
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{name}-{width}-{colour}.png", full_page=True)


def verified(page: Page, file: Path, words: str) -> None:
    page.goto("/verify")
    page.set_input_files("#file", file)
    expect(page.locator("#verdict")).to_contain_text(words, timeout=40_000)


def test_an_output_is_said_to_be_made_here(
    page: Page, publisher: Publisher, tmp_path: Path
) -> None:
    file = tmp_path / "out.jpg"
    file.write_bytes(publisher.image())
    verified(page, file, "was made by this service")
    expect(page.locator("#signature")).to_contain_text("Signed by this service")
    expect(page.locator("#mark")).to_contain_text("proved to be of this service")
    expect(page.locator("#record a")).to_have_attribute("href", "/v1/verify/manifests/00c0ffee")
    looked_at(page, "verify-made-here")


def test_a_file_from_elsewhere_has_nothing_and_that_is_explained(page: Page) -> None:
    verified(page, SAMPLES / "ada_neutral.jpg", "Nothing was found")
    expect(page.locator("#notes")).to_contain_text("does not show that a file is genuine")
    looked_at(page, "verify-nothing")


def test_an_unreadable_file_is_told_as_such(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.write_bytes(b"")
    verified(page, file, "The file is empty")

    page.route("**/v1/verify", lambda route: route.fulfill(status=422, json=UNREADABLE))
    page.set_input_files("#file", SAMPLES / "ada_neutral.jpg")
    expect(page.locator("#verdict")).to_contain_text("cannot be examined")
    expect(page.locator("#findings")).to_be_hidden()
    looked_at(page, "verify-unreadable")


def test_a_file_that_is_too_large_is_not_sent(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "large.mp4"
    with file.open("wb") as stream:
        stream.truncate((256 << 20) + 1)

    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    verified(page, file, "larger than 256 MB")
    assert "POST" not in sent
    looked_at(page, "verify-too-large")


def test_a_service_that_is_away_is_told_as_such(page: Page, tmp_path: Path) -> None:
    page.goto("/verify")
    page.route("**/v1/verify", lambda route: route.abort())
    page.set_input_files("#file", SAMPLES / "ada_neutral.jpg")
    expect(page.locator("#verdict")).to_contain_text("cannot be reached")


def test_the_trail_is_read_filtered_and_followed(
    page: Page, live: LiveService, tenant: str
) -> None:
    identity = live.identity(tenant)
    log = AuditLog(live.redis)
    log.append("identity.registered", tenant, "0f3a5c7e9b1d2f4a", identity, consent_receipt="ab12")
    log.append("identity.used", tenant, "0f3a5c7e9b1d2f4a", identity, job="job_1")
    log.append("output.marked", tenant, "worker", "job_1", identities=identity, c2pa="embedded")
    log.append("request.refused", tenant, "worker", "job_2", code="sexual_content", check="nudity")
    trust = TrustStore(live.settings.trust_dir)
    archive = AuditArchive(live.settings.audit_dir, trust.audit_key())
    while archive.take(log):
        pass

    archive.sign_head(trust.signer().sign, 0.0, force=True)
    page.goto("/audit")
    looked_at(page, "audit-empty")
    page.fill("#key", KeyStore(live.redis).create(tenant, SCOPES)[1])
    page.click("#filters button")
    expect(page.locator("#rows tr")).to_have_count(4)
    expect(page.locator("#badge")).to_contain_text("Chain verified")
    looked_at(page, "audit")

    page.locator("#rows tr").last.get_by_role("button", name=identity).click()
    expect(page.locator("#rows tr")).to_have_count(3)
    expect(page.locator("#consent")).to_contain_text("Consent of ada")
    looked_at(page, "audit-identity")

    page.fill("#key", "no key")
    page.click("#filters button")
    expect(page.locator("#message")).to_contain_text("API key")
