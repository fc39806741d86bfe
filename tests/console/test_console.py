"""The console in a real browser on the real stack: the whole path, errors, and who can use it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect  # noqa: E402

from tests.console import journey  # noqa: E402
from tests.console.browser import AXE, CHROMIUM, Visit, browser, visit  # noqa: E402
from tests.material import SAMPLES  # noqa: E402
from tests.system.running_service import RunningService  # noqa: E402

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.timeout(600),
]
PAGES = ("swap", "people", "jobs", "webhooks", "keys", "audit")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def opened(service: RunningService, chromium: Browser) -> Iterator[Visit]:
    with visit(chromium, f"{service.url}/#key={service.key}") as page:
        yield page


def test_the_whole_path(service: RunningService, opened: Visit) -> None:
    page = opened.page
    expect(page.get_by_role("heading", name="Swap a face")).to_be_visible()
    assert service.key not in page.url  # it is taken out of the address

    journey.choose_target(page, SAMPLES / "solo_720p30.mp4")
    journey.enrol(page)
    expect(page.get_by_label("Person 1")).to_have_value(
        service.client.get("/v1/identities").json()["data"][0]["id"]
    )
    journey.preview(page)
    page.get_by_role("button", name="How long will it take?").click()
    expect(page.get_by_text("About ")).to_contain_text("150 faces in 150 frames", timeout=60_000)
    journey.swap(page, "video")
    journey.move_slider(page)
    expect(page.get_by_text("Swapped in all 150 frames.")).to_be_visible()

    page.get_by_role("button", name="Python").click()
    expect(page.locator("pre")).to_contain_text("httpx.Client")
    played = page.locator("video[slot=second]")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelector('video[slot=second]').currentTime > 0.2")
    assert played.evaluate("one => one.videoWidth") == 1280
    signed = played.get_attribute("src") or ""
    assert httpx.get(service.url + signed).status_code == 200

    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("link", name="Video", exact=True)).to_be_visible()

    journey.withdraw(page)
    expect(page.get_by_text("Nobody is registered yet.")).to_be_visible()
    assert httpx.get(service.url + signed).status_code == 404

    assert opened.elsewhere == []
    assert opened.problems == []


def test_an_image_is_swapped_and_compared(opened: Visit) -> None:
    page = opened.page
    page.goto(f"{opened.origin}/#/people")
    journey.enrol(page, name="Ada of the image")
    page.get_by_role("link", name="Swap", exact=True).click()
    journey.choose_target(page, SAMPLES / "ben_neutral.jpg")
    page.get_by_label("Person 1").select_option("Ada of the image")
    journey.preview(page)
    journey.swap(page, "image")
    journey.move_slider(page)
    journey.withdraw(page, "Ada of the image")


def test_a_wrong_key_is_refused_in_words(service: RunningService, chromium: Browser) -> None:
    with visit(chromium, service.url) as opened:
        page = opened.page
        page.get_by_label("API key").fill("lk_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not known")

        page.get_by_label("API key").fill(service.key or "")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Swap a face")).to_be_visible()

        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()


def test_failures_are_told_in_words(opened: Visit) -> None:
    page = opened.page
    upload = page.locator("main input[type=file]")
    upload.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"})
    expect(page.get_by_role("alert")).to_contain_text("file")

    page.goto(f"{opened.origin}/#/webhooks")
    page.get_by_label("Address").fill("http://10.0.0.1/hook")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("does not lead to a public web server")

    page.goto(f"{opened.origin}/#/jobs/job_{'0' * 26}")
    expect(page.get_by_role("alert")).to_be_visible()


def test_the_camera_can_take_a_photo(opened: Visit) -> None:
    page = opened.page
    page.goto(f"{opened.origin}/#/people")
    page.get_by_role("button", name="Register a person").click()
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_function("() => document.querySelector('dialog video')?.videoWidth > 0")
    page.get_by_role("button", name="Take a photo").click()
    expect(page.get_by_alt_text("Photo 1")).to_be_visible()


def test_a_key_is_made_and_revoked(service: RunningService, opened: Visit) -> None:
    page = opened.page
    page.goto(f"{opened.origin}/#/keys")
    page.get_by_label("Name").fill("of this test")
    page.get_by_role("button", name="Make a key").click()
    shown = page.get_by_text("shown this once").locator(".mono").inner_text()
    headers = {"Authorization": f"Bearer {shown}"}
    assert httpx.get(f"{service.url}/v1/jobs", headers=headers).status_code == 200

    page.get_by_role("button", name="Revoke of this test").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="of this test")).to_contain_text("Ended")
    assert httpx.get(f"{service.url}/v1/jobs", headers=headers).status_code == 401


def test_a_key_is_replaced_and_the_old_one_ends_later(
    service: RunningService, opened: Visit
) -> None:
    page = opened.page
    page.goto(f"{opened.origin}/#/keys")
    page.get_by_label("Name").fill("to be replaced")
    page.get_by_role("button", name="Make a key").click()
    shown = page.get_by_text("shown this once").locator(".mono")
    old = shown.inner_text()

    page.get_by_role("button", name="Replace to be replaced").click()
    page.get_by_role("dialog").get_by_label("The old one is accepted").select_option("for an hour")
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    expect(shown).not_to_have_text(old)
    expect(page.get_by_role("row").filter(has_text="until")).to_have_count(1)

    for token in (old, shown.inner_text()):
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{service.url}/v1/jobs", headers=headers).status_code == 200


def test_jobs_are_filtered(service: RunningService, opened: Visit) -> None:
    identity = service.register(SAMPLES / "ada_neutral.jpg").json()["id"]
    ben = service.upload((SAMPLES / "ben_neutral.jpg").read_bytes(), "image/jpeg").json()["id"]
    swapped = service.finished(service.swap("image", ben, identity).json()["id"])
    asked = {"input": {"upload_id": ben}}
    service.finished(service.client.post("/v1/analyses", json=asked).json()["id"])

    page = opened.page
    page.goto(f"{opened.origin}/#/jobs")
    rows = page.locator("tbody tr")
    expect(rows.first).to_be_visible()
    page.get_by_label("What").select_option("Image")
    page.get_by_label("Whose face").select_option("ada")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(swapped["id"])

    page.get_by_label("State").select_option("Failed")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("link", name="People found").first).to_be_visible()

    page.get_by_label("To", exact=True).fill("2020-01-01")
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    service.client.delete(f"/v1/identities/{identity}")


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in console/")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_pages_can_be_used_by_everybody(
    service: RunningService, chromium: Browser, width: int, dark: bool
) -> None:
    with visit(chromium, service.url, width=width, dark=dark) as opened:
        assert opened.violations() == []

    with visit(chromium, f"{service.url}/#key={service.key}", width=width, dark=dark) as opened:
        for name in PAGES:
            opened.page.goto(f"{opened.origin}/#/{name}")
            opened.page.wait_for_load_state("networkidle")
            assert opened.violations() == [], name
            assert opened.overflow_px() <= 0, name

        opened.page.goto(f"{opened.origin}/#/people")
        opened.page.get_by_role("button", name="Register a person").click()
        assert opened.violations() == []
        assert opened.elsewhere == []
