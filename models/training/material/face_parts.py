"""What mouths look like: the principal components that registration knows them by.

`python -m models.training.material.face_parts --faces ../shared/data --packs var/packs` writes
`models/inference/finding/face_parts.npz` from the training split, and prints how often open faces
of the evaluation split, and faces with something drawn over them, are taken for covered.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_parts import (
    PARTS_FILE,
    FaceParts,
    eye_brightness,
    mouth_structure,
)
from models.inference.frames.image_frame import ImageFrame
from models.inference.photo_check import (
    EYES_REFUSED,
    EYES_WARNED,
    MOUTH_REFUSED,
    MOUTH_WARNED,
    aligned_crop,
)
from models.packs.store import load_pack

COMPONENTS = 6  # more begin to explain hands and folds of cloth as well
MARGIN_PX = 60  # the data's crops end close to the face: the detector wants some room

Crops: TypeAlias = list[RgbImage]


def main() -> None:
    """Fit, write and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--packs", type=Path, required=True)
    arguments = parser.parse_args()
    engine = FaceSwapEngine.load(load_pack("open", arguments.packs), device="cpu")
    crops = {split: list(_crops(engine, arguments.faces, split)) for split in ("train", "eval")}

    structures = np.stack([mouth_structure(crop)[0] for crop in crops["train"]])
    mean = structures.mean(axis=0)
    _, _, rows = np.linalg.svd(structures - mean, full_matrices=False)
    np.savez_compressed(
        PARTS_FILE, mean=mean.astype(np.float16), components=rows[:COMPONENTS].astype(np.float16)
    )
    _measure(FaceParts.load(), crops["eval"])


def _crops(engine: FaceSwapEngine, folder: Path, split: str) -> Iterator[RgbImage]:
    with (folder / "faces.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file) if row["split"] == split]
    for name in names:
        image = np.asarray(cv2.imread(str(folder / "faces" / name)), np.uint8)
        sides = ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX), (0, 0))
        padded = np.pad(image, sides, mode="edge")
        faces = engine.detect(padded)

        if faces:
            largest = max(faces, key=lambda face: face.eye_px)
            yield aligned_crop(ImageFrame(padded), largest)


def _measure(parts: FaceParts, crops: Crops) -> None:
    rng = np.random.default_rng(1)
    _print_rates("open faces", parts, crops)
    for name, draw in COVERS.items():
        _print_rates(name, parts, [draw(crop.copy(), rng) for crop in crops])


def _print_rates(name: str, parts: FaceParts, crops: Crops) -> None:
    mouths = np.array([parts.mouth_familiarity(crop) for crop in crops])
    eyes = np.array([eye_brightness(crop) for crop in crops])
    refused = (mouths < MOUTH_REFUSED) | (eyes < EYES_REFUSED)
    warned = (mouths < MOUTH_WARNED) | (eyes < EYES_WARNED)
    print(
        f"{name}: {len(crops)}, refused {100 * refused.mean():.1f} %,"
        f" refused or warned about {100 * warned.mean():.1f} %"
    )


def mask(crop: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Draw a cloth mask over nose tip, mouth and chin."""
    top = 140 + rng.integers(-8, 12)
    outline = np.array([[40, top], [184, top], [180, 205], [112, 240], [44, 205]])
    return _drawn(crop, outline, _cloth(rng), rng)


def hand(crop: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Draw a hand of the face's own colour over the mouth: a palm and four fingers."""
    skin = crop[120:150, 60:80].reshape(-1, 3).mean(axis=0) * rng.uniform(0.8, 1.1)
    x = 112 + rng.integers(-14, 15)
    palm = np.array([[x - 48, 168], [x + 48, 164], [x + 50, 223], [x - 50, 223]])
    crop = _drawn(crop, palm, skin, rng)

    for finger in range(4):
        left = x - 48 + 25 * finger
        edge = np.array([[left, 223], [left, 160], [left + 22, 158], [left + 22, 223]])
        crop = _drawn(crop, edge, skin * rng.uniform(0.92, 1.05), rng)

    return crop


def sunglasses(crop: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Draw dark or tinted lenses over both eyes."""
    colour = rng.uniform(0, 70, 3)
    for x in (74, 150):
        angles = np.linspace(0, 2 * np.pi, 40)
        width = rng.integers(28, 36)
        height = rng.integers(20, 30)
        lens = np.stack([x + width * np.cos(angles), 106 + height * np.sin(angles)], axis=1)
        crop = _drawn(crop, lens, colour, rng)

    return crop


COVERS = {"mask": mask, "hand": hand, "sunglasses": sunglasses}


def _cloth(rng: np.random.Generator) -> NDArray[np.float64]:
    white = rng.uniform(200, 255, 3)
    blue = np.array([120.0, 170.0, 210.0])
    return (white, blue, rng.uniform(0, 255, 3))[rng.integers(3)]


def _drawn(
    crop: RgbImage,
    outline: NDArray[np.int64] | NDArray[np.float64],
    colour: NDArray[np.float64],
    rng: np.random.Generator,
) -> RgbImage:
    """Return the crop with a soft-edged, shaded and slightly noisy shape in it."""
    shape = np.zeros(crop.shape[:2], np.float32)
    cv2.fillPoly(shape, [np.round(outline).astype(np.int32)], 1.0)
    alpha = np.asarray(cv2.GaussianBlur(shape, (0, 0), 1.0))[..., None]
    shade = 1 + rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, crop.shape[0])[:, None, None]
    surface = colour * shade + rng.normal(0, 3, crop.shape)

    return np.asarray(np.clip(crop * (1 - alpha) + surface * alpha, 0, 255), np.uint8)


if __name__ == "__main__":
    main()
