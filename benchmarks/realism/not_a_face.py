"""V-12: what is no human face is not swapped, and faces on their heads are swapped upright."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine, enrolled
from models.inference.arrays import BgrImage
from models.inference.options import FaceSelector
from models.inference.swapping.selection import Assignment
from tests.material import BANK

# Quarter turns, as cameras write them when they forget to say how they were held.
QUARTERS = (1, 2, 3)
DRAWINGS = 40
# Mean levels by which the swap of a turned face, turned back, may differ from the upright one's.
ALIKE = 3.0
# The bank's crops are tight; turned by a quarter a face needs some room around it.
MARGIN_PX = 60
SKINS = ((150, 190, 235), (90, 130, 180), (60, 90, 140), (120, 220, 250), (220, 200, 190))


@bar("V-12")
def drawings_are_left_alone_and_turned_faces_are_swapped_as_they_stand() -> Figure:
    """Drawn faces that `faces: all` swaps, composites that it leaves alone, and turned composites
    whose swap is not that of the upright one.
    """
    everybody = [Assignment(FaceSelector("all"), enrolled("ada"))]
    rng = np.random.default_rng(12)
    drawings = [_drawing(rng) for _ in range(DRAWINGS)]
    found = [engine().detect(image) for image in drawings]
    swapped = sum(
        any(face.swapped for face in engine().swap_found(image, faces, everybody).faces)
        for image, faces in zip(drawings, found, strict=True)
    )
    print(f"{sum(map(bool, found))} of {DRAWINGS} drawings are taken for a face by the mesh")

    # Every sixth of the bank: thirty people in a minute.
    people = [_padded(path) for path in sorted(BANK.glob("bank_*.jpg"))[::6]]
    missed = 0
    wrong = 0

    for image in people:
        upright = engine().swap_found(image, engine().detect(image), everybody)
        missed += not any(face.swapped for face in upright.faces)

        for quarters in QUARTERS:
            turned = np.ascontiguousarray(np.rot90(image, quarters))
            outcome = engine().swap_found(turned, engine().detect(turned), everybody)
            back = np.rot90(outcome.frame, -quarters)
            wrong += float(np.abs(back.astype(int) - upright.frame).mean()) > ALIKE

    print(
        f"{len(people)} composites: {missed} left alone; {wrong} of turned ones swapped otherwise"
    )
    value = f"{swapped} drawings, {missed} people, {wrong} turned"
    return Figure(value, "", "0, 0 and 0", swapped == missed == wrong == 0)


def _drawing(rng: np.random.Generator) -> BgrImage:
    """Return a face of flat colours and lines, of random proportions."""
    image = np.full((480, 480, 3), rng.integers(60, 255, 3), np.uint8)
    width = int(rng.integers(95, 130))
    height = int(rng.integers(135, 165))
    skin = SKINS[rng.integers(len(SKINS))]
    cv2.ellipse(image, (240, 230), (width, height), 0, 0, 360, skin, -1)
    # Hair, so that it resembles a face as closely as a drawing can.
    cv2.ellipse(image, (240, 135), (width + 6, 78), 0, 180, 360, (30, 50, 80), -1)

    for side in (-1, 1):
        x = 240 + side * int(rng.integers(40, 50))
        cv2.ellipse(image, (x, 215), (24, int(rng.integers(9, 16))), 0, 0, 360, (255,) * 3, -1)
        cv2.circle(image, (x, 215), int(rng.integers(7, 11)), (80, 50, 20), -1)
        cv2.line(image, (x - 26, 188), (x + 26, 186), (30, 50, 80), 6)

    cv2.line(image, (240, 220), (230, 270), (100, 140, 190), 4)
    cv2.line(image, (230, 270), (250, 272), (100, 140, 190), 4)
    cv2.ellipse(image, (240, 305), (42, int(rng.integers(8, 20))), 0, 0, 180, (60, 60, 190), -1)

    return image


def _padded(path: Path) -> BgrImage:
    sides = ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX), (0, 0))
    return np.pad(_image(path), sides, mode="edge")


def _image(path: Path) -> BgrImage:
    return np.asarray(cv2.imread(str(path)), np.uint8)
