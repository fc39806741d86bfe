"""The page that swaps in the browser: what it refuses, what it shows, and that it asks nobody."""

from __future__ import annotations

import json
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
