"""The images of docs/options.md: what each option does, on composites.

    python -m docs.site.option_images [FOLDER]

Run it again when the engine changes; the same engine makes the same images.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.inference.engine import FaceSwapEngine
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.packs.store import load_pack
from service.schemas.swaps import PRESETS, merged
from worker.contract.options import SwapOptions
from worker.media.images import decode_image
from worker.settings import MediaLimits, WorkerSettings
from worker.use_cases.identity_loader import swap_options

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "service" / "samples"
IMAGES = ROOT / "docs" / "images" / "options"
Bgr = NDArray[np.uint8]

CELL_PX = 300
LABEL_PX = 30
# Enough of the composites' detail that a seam shows, at some 30 KB an image.
QUALITY = 88
# The target's face and some of what is around it; composites are 800 px wide.
FACE = (170, 100, 630, 560)
_NAMES: Mapping[str, Sequence[tuple[str, dict[str, Any]]]] = {
    "preset": [(name, given) for name, given in PRESETS.items() if name != "fast"],
    "blend": [(f"blend {value}", {"blend": value}) for value in (0.0, 0.5, 1.0)],
    "colour_match": [
        (f"colour_match {value}", {"colour_match": value}) for value in (0.0, 0.5, 1.0)
    ],
    # With the photo's own light: where skin meets skin of the same colour no edge can be seen.
    "feather": [
        (f"mask.feather {value}", {"mask": {"feather": value}, "colour_match": 0.0})
        for value in (0.0, 0.5, 1.0)
    ],
    "erode": [
        (f"mask.erode {value}", {"mask": {"erode": value}, "colour_match": 0.0})
        for value in (0.0, 0.5, 1.0)
    ],
    "preserve": [
        ("nothing preserved", {}),
        ("preserve mouth", {"preserve": ["mouth"]}),
        ("preserve eyes", {"preserve": ["eyes"]}),
    ],
}


def main() -> None:
    """Write one image for each option into the folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    engine = FaceSwapEngine.load(load_pack("open", WorkerSettings().packs_root), threads=2)
    ada = _identity(engine, "ada_neutral.jpg", "ada_smile.jpg")
    target = _image("dev_smile.jpg")

    for name, values in _NAMES.items():
        cells = [("target", target)]
        cells += [(label, _swapped(engine, target, ada, given)) for label, given in values]
        _write(folder / f"{name}.jpg", [(label, _face(image)) for label, image in cells])

    _write(folder / "faces.jpg", _faces(engine, ada))


def _faces(engine: FaceSwapEngine, identity: Identity) -> list[tuple[str, Bgr]]:
    """Return a frame of two people with nobody, one and both of them swapped."""
    with av.open(str(SAMPLES / "duet_720p2997.mp4")) as video:
        frame = next(video.decode(video=0)).to_ndarray(format="bgr24")

    return [
        ("target", frame),
        ('faces "largest"', _swapped(engine, frame, identity, {})),
        ('faces "all"', _swapped(engine, frame, identity, {}, everybody=True)),
    ]


def _identity(engine: FaceSwapEngine, *names: str) -> Identity:
    registered = engine.register([_image(name) for name in names])
    weights = engine.specialise(registered.code)
    return engine.identity("ada", registered.code, weights)


def _swapped(
    engine: FaceSwapEngine,
    target: Bgr,
    identity: Identity,
    given: Mapping[str, Any],
    everybody: bool = False,
) -> Bgr:
    options = swap_options(SwapOptions(**merged({}, dict(given))))
    found = engine.detect(target)
    assignments = [Assignment(FaceSelector("all" if everybody else "largest"), identity)]
    return engine.swap_found(target.copy(), found, assignments, options).frame


def _image(name: str) -> Bgr:
    return decode_image(SAMPLES / name, MediaLimits()).bgr


def _face(image: Bgr) -> Bgr:
    left, top, right, bottom = FACE
    return image[top:bottom, left:right]


def _write(path: Path, cells: Sequence[tuple[str, Bgr]]) -> None:
    """Write images of one height side by side, each under its name."""
    height, width = cells[0][1].shape[:2]
    size = (round(CELL_PX * width / height), CELL_PX)
    strip = Image.new("RGB", (len(cells) * size[0], CELL_PX + LABEL_PX), "white")
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=16)

    for number, (label, image) in enumerate(cells):
        shown = Image.fromarray(image[:, :, ::-1]).resize(size, Image.Resampling.LANCZOS)
        strip.paste(shown, (number * size[0], LABEL_PX))
        draw.text((number * size[0] + 6, 6), label, fill="black", font=font)

    strip.save(path, quality=QUALITY)
    print(f"{path}: {path.stat().st_size} bytes")  # noqa: T201 - what the program is for


if __name__ == "__main__":
    main()
