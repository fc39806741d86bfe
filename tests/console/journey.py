"""The console's whole path, as a person goes it: used by the test and by the bar."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.material import SAMPLES

SWAP_TIMEOUT_MS = 240_000  # five seconds of video on a busy machine
LOOK_TIMEOUT_MS = 90_000


def enrol(page: Page, subject: str = "ada@example.org", name: str = "Ada") -> None:
    """Register ada, from wherever the button is; ends with the page as it was."""
    page.get_by_role("button", name="Register a person").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Register", exact=True)).to_be_disabled()

    photos = [str(SAMPLES / "ada_neutral.jpg"), str(SAMPLES / "ada_smile.jpg")]
    dialog.locator("input[type=file][multiple]").set_input_files(photos)
    dialog.get_by_label("Name in this list").fill(name)
    dialog.get_by_label("Whose face is it?").fill(subject)
    expect(dialog.get_by_role("button", name="Register", exact=True)).to_be_disabled()

    dialog.get_by_label("I confirm that this record is true").check()
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.get_by_text("is registered")).to_be_visible(timeout=LOOK_TIMEOUT_MS)
    expect(dialog.get_by_text("Used:").first).to_be_visible()
    dialog.get_by_role("button", name="Done").click()


def choose_target(page: Page, file: Path) -> None:
    """Upload a target and wait until its people are shown."""
    page.locator("main input[type=file]").set_input_files(str(file))
    expect(page.get_by_alt_text("Person 1")).to_be_visible(timeout=LOOK_TIMEOUT_MS)


def preview(page: Page) -> None:
    """Wait for the preview of what is chosen."""
    frames = page.get_by_alt_text("Frames of the target as they would look")
    expect(frames).to_be_visible(timeout=LOOK_TIMEOUT_MS)


def swap(page: Page, kind: str) -> None:
    """Start the swap and wait for its result."""
    page.get_by_role("button", name=f"Swap the {kind}").click()
    expect(page.get_by_role("link", name="Download")).to_be_visible(timeout=SWAP_TIMEOUT_MS)


def move_slider(page: Page) -> None:
    """Move the divider with the keyboard."""
    slider = page.locator("img-comparison-slider")
    before = slider.evaluate("one => one.value")
    slider.focus()
    page.keyboard.down("ArrowRight")  # it moves for as long as the key is held
    page.wait_for_function(
        "before => document.querySelector('img-comparison-slider').value != before", arg=before
    )
    page.keyboard.up("ArrowRight")


def withdraw(page: Page, name: str = "Ada") -> None:
    """Withdraw a person's consent and wait for the receipt."""
    page.get_by_role("link", name="People", exact=True).click()
    card = page.get_by_role("listitem").filter(has_text=name)
    card.get_by_role("button", name="Withdraw consent").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw and delete").click()
    expect(page.get_by_text("Store keys deleted")).to_be_visible()
