"""P-13: the page of examples/on_device in a headless browser, on a video of a composite person."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.bar import Figure, bar
from benchmarks.device.export import FACTS
from benchmarks.quality.loaded import engine, enrolled
from models.device.bundle import DeviceExporter
from models.device.template import load_templates
from tests.models.demo_media import SOLO
from tests.system.on_device_page import DIST, playing, served

# WebAssembly is compiled twice: quickly at first, then optimised while it runs.
WARM_UP_MS = 8_000
MEASURED_MS = 15_000
# Below ten a moving face reads as a series of images.
MIN_FPS = 10.0
MAX_DOWNLOAD = 8_000_000


def exported(folder: Path) -> Path:
    """Return a file with ada's exported identity."""
    source = enrolled("ada")
    pack = engine().pack
    canonical = engine().painter.canonical
    assert canonical is not None
    exporter = DeviceExporter(pack.id, canonical, load_templates(pack.device))
    file = folder / "ada.zip"
    exporter.write(file, "onnx", source.code, engine().specialise(source.code), FACTS, sign=None)

    return file


@bar("P-13")
def page_in_a_browser() -> Figure:
    """Swap the solo video at 480 lines in headless Chromium, by WebAssembly; `make on-device`
    first.
    """
    if not (DIST / "main.js").is_file():
        return Figure("not built", "page", "make on-device first", holds=False)

    with (
        tempfile.TemporaryDirectory() as folder,
        served(DIST) as url,
        playing(url, exported(Path(folder)), SOLO) as (page, asked),
    ):
        page.wait_for_timeout(WARM_UP_MS)
        before = _state(page)
        page.wait_for_timeout(MEASURED_MS)
        after = _state(page)

    # Blobs and data URLs are the page's own and never leave the browser.
    elsewhere = [one for one in asked if not one.startswith((url, "blob:", "data:"))]
    # Two readings of the page's own counter: the time for starting up drops out.
    fps = (after["frames"] - before["frames"]) * 1000 / MEASURED_MS
    # Each file once, as a browser's cache has it.
    download = sum(_compressed(one.removeprefix(url) or "index.html") for one in set(asked))
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in after["times"].items())
    print(f"{fps:.1f} frames a second on {after['device']}; ms: {stages}")
    print(f"download {download / 1e6:.2f} MB compressed; requests elsewhere: {len(elsewhere)}")

    return Figure(
        f"{fps:.1f} fps, {download / 1e6:.2f} MB, {len(elsewhere)}",
        "speed, download, requests elsewhere",
        f">= {MIN_FPS:.0f} fps, <= {MAX_DOWNLOAD / 1e6:.0f} MB, 0",
        fps >= MIN_FPS and download <= MAX_DOWNLOAD and not elsewhere,
    )


def _state(page: Page) -> dict[str, Any]:
    state: dict[str, Any] = page.evaluate("window.likeness")
    return state


def _compressed(name: str) -> int:
    """Return what a file weighs as servers send it; a blob of the page's own weighs nothing."""
    file = DIST / name
    return len(gzip.compress(file.read_bytes())) if file.is_file() else 0
