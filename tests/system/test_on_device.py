"""The page that swaps in the browser: what it refuses, what it shows, and that it asks nobody."""

from __future__ import annotations

import json
import wave
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright")

from models.device.bundle import MANIFEST, DeviceExporter
from models.device.template import load_templates
from models.inference.engine import FaceSwapEngine
from models.packs.store import load_pack
from tests.material import PACKS
from tests.models.demo_media import SOLO, portrait
from tests.system.on_device_page import CHROMIUM, DIST, opened, playing, served

pytestmark = pytest.mark.skipif(
    not (DIST / "main.js").is_file() or not CHROMIUM.is_file(),
    reason="needs Chromium, and the page that `make on-device` builds",
)
DAY = {"consent_text": "She agreed.", "expires_at": "2999-01-01T00:00:00+00:00"}


@pytest.fixture(scope="module")
def cleo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported identity."""
    pack = load_pack("open", PACKS)
    engine = FaceSwapEngine.load(pack, device="cpu")
    code = engine.register([portrait("cleo_neutral")]).code
    file = tmp_path_factory.mktemp("export") / "cleo.zip"
    canonical = engine.painter.canonical
    assert canonical is not None

    exporter = DeviceExporter(pack.id, canonical, load_templates(pack.device))
    exporter.write(file, "onnx", code, engine.specialise(code), DAY, sign=None)
    return file


def changed(source: Path, target: Path, **facts: str) -> Path:
    """Return a copy of an exported identity whose manifest says something else."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == MANIFEST:
                data = json.dumps({**json.loads(data), **facts}).encode()
            after.writestr(name, data)

    return target


def test_a_video_is_swapped_and_nothing_is_asked_of_anybody(cleo: Path) -> None:
    with served(DIST) as url, playing(url, cleo, SOLO) as (page, asked):
        shot = page.locator("#output").screenshot()
        assert not [one for one in asked if not one.startswith((url, "blob:", "data:"))]

    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    face = image[image.shape[0] // 3 : image.shape[0] // 2, image.shape[1] // 2]
    assert face.std() > 5  # a face, not a blank canvas


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"expires_at": "2020-01-01T00:00:00+00:00"}, "expired on 2020-01-01"),
        ({"format": "likeness-device-9"}, "not an identity exported by Likeness"),
        ({"form": "litert"}, "Export the form onnx"),
    ],
)
def test_the_page_refuses_what_it_may_not_use(
    cleo: Path, tmp_path: Path, facts: dict[str, str], said: str
) -> None:
    file = changed(cleo, tmp_path / "changed.zip", **facts)
    with served(DIST) as url, opened(url) as (page, _):
        page.set_input_files("#identity", file)
        page.wait_for_selector("#message:not(:empty)")
        assert said in page.inner_text("#message")
        assert page.is_disabled("#start")


def test_a_damaged_file_is_refused(cleo: Path, tmp_path: Path) -> None:
    data = bytearray(cleo.read_bytes())
    data[len(data) // 3] ^= 1  # within the network
    (tmp_path / "damaged.zip").write_bytes(data)
    with served(DIST) as url, opened(url) as (page, _):
        page.set_input_files("#identity", tmp_path / "damaged.zip")
        page.wait_for_selector("#message:not(:empty)")
        assert "damaged" in page.inner_text("#message")


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    """A file that is called a video and is none."""
    file = tmp_path / "junk.mp4"
    file.write_bytes(b"no video at all " * 4096)
    return file


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file with sound alone, which browsers play without an error."""
    file = tmp_path / "sound.wav"
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(bytes(16_000))

    return file


@pytest.mark.parametrize("name", ["junk", "sound"])
def test_a_file_that_is_no_video_ends_the_swap_with_a_remedy(
    cleo: Path, name: str, request: pytest.FixtureRequest
) -> None:
    with served(DIST) as url, playing(url, cleo, SOLO) as (page, _):
        page.set_input_files("#clip", request.getfixturevalue(name))
        page.wait_for_selector("#message:not(:empty)")
        assert "convert it to MP4" in page.inner_text("#message")
        assert page.is_disabled("#start")
        assert page.inner_text("#start") == "Start"

        page.wait_for_timeout(1_500)  # longer than the page takes between two reports
        assert page.inner_text("#figures") == ""

        page.set_input_files("#clip", SOLO)
        page.wait_for_selector("#start:enabled")
        assert page.inner_text("#message") == ""


def test_a_refused_identity_stays_refused_while_a_video_is_chosen(cleo: Path, junk: Path) -> None:
    with served(DIST) as url, opened(url) as (page, _):
        page.set_input_files("#identity", cleo)
        page.check("#agree")
        page.set_input_files("#identity", junk)
        page.wait_for_selector("#message:not(:empty)")
        page.set_input_files("#clip", SOLO)
        page.evaluate("document.getElementById('video').play()")  # settles once it plays

        assert "not an identity" in page.inner_text("#message")
        assert page.is_hidden("#consent")
        assert page.is_disabled("#start")


def test_names_in_the_consent_are_shown_as_code(cleo: Path, tmp_path: Path) -> None:
    file = changed(cleo, tmp_path / "named.zip", consent_text="Until `expires_at`; not after.")
    with served(DIST) as url, opened(url) as (page, _):
        page.set_input_files("#identity", file)
        page.wait_for_selector("#consent:visible")
        assert page.inner_text("#consent-text") == "Until expires_at; not after."
        assert page.inner_text("#consent-text code") == "expires_at"
