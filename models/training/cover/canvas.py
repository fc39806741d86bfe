"""What occluders are drawn on: the 112 px crop with its face, and the shapes they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.networks.cover_net import KINDS, SIZE

Array = NDArray[Any]
Generator = np.random.Generator

EYES = ((33, 133, 159, 145), (263, 362, 386, 374))
# Where hands touch a face: all along the jaw, at the temples and the forehead.
OUTLINE = (152, 377, 148, 379, 150, 365, 136, 397, 172, 127, 356, 10, 67, 297, 54, 284, 93, 323)
CHEEKS = (50, 280, 205, 425)


@dataclass
class Canvas:
    """One face at the network's size while it is being covered.

    image float32 [112, 112, 3] in 0..255; mesh [468, 2]; hull float32 [112, 112] in 0..1; covered:
    one plane 0..1 of each of `KINDS`; skin: the face's mean colour [3]; others: crops of other
    faces, for their pixels.
    """

    image: Array
    mesh: Landmarks
    hull: Array
    skin: Array
    others: tuple[RgbImage, RgbImage]
    covered: dict[str, Array] = field(
        default_factory=lambda: {kind: np.zeros((SIZE, SIZE), np.float32) for kind in KINDS}
    )

    def paste(self, kind: str, colours: Array, alpha: Array) -> None:
        """Lay colours [112, 112, 3] over the image where alpha is, and note what they cover."""
        alpha = np.clip(alpha, 0, 1)
        self.image += (colours - self.image) * alpha[..., None]

        for plane in self.covered.values():
            plane *= 1 - alpha

        self.covered[kind] += alpha

    def shade(self, amount: Array) -> None:
        """Darken the image by a share 0..1: what lies in front of a face throws a shadow on it."""
        self.image *= 1 - amount[..., None]

    def somewhere(self, rng: Generator) -> Array:
        """Return a point on the face."""
        rows, columns = np.nonzero(self.hull > 0.3)
        index = rng.integers(len(rows)) if len(rows) else 0
        return np.array([columns[index], rows[index]], float) if len(rows) else np.full(2, 56.0)

    def on_outline(self, rng: Generator) -> Array:
        """Return a point near the face's outline."""
        return np.asarray(self.mesh[rng.choice(OUTLINE)] + rng.normal(0, 6, 2))

    def eye(self, index: int) -> Array:
        return np.asarray(self.mesh[list(EYES[index])].mean(0))


def blank() -> Array:
    """Return an empty alpha plane."""
    return np.zeros((SIZE, SIZE), np.float32)


def whole(point: Array) -> tuple[int, int]:
    """Return a point in whole pixels, as OpenCV draws them."""
    return int(np.clip(point[0], -500, 500)), int(np.clip(point[1], -500, 500))


def line(plane: Array, start: Array, end: Array, value: float, width: float) -> None:
    """Draw a line with round ends."""
    cv2.line(plane, whole(start), whole(end), value, max(1, round(width)), cv2.LINE_AA)


def ellipse(plane: Array, centre: Array, radii: Array, turn_deg: float, width: float = -1) -> None:
    """Draw an ellipse, filled where `width` is negative."""
    axes = (max(1, int(radii[0])), max(1, int(radii[1])))
    thick = -1 if width < 0 else max(1, round(width))
    cv2.ellipse(plane, whole(centre), axes, turn_deg, 0, 360, 1.0, thick, cv2.LINE_AA)


def polygon(plane: Array, points: Array) -> None:
    """Fill a polygon."""
    outline = np.asarray(np.round(np.clip(points, -500, 500)), np.int32)
    cv2.fillPoly(plane, [outline], 1.0, cv2.LINE_AA)


def direction(rng: Generator) -> tuple[Array, Array]:
    """Return a random unit vector and the one across it."""
    turn = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(turn), np.sin(turn)])
    return along, np.array([-along[1], along[0]])


def surface(rng: Generator, canvas: Canvas) -> Array:
    """Return what an object may look like, [112, 112, 3]: plain, shaded, striped, or a piece of
    another photograph.
    """
    draw = rng.random()
    if draw < 0.45:
        top = int(rng.integers(0, 60))
        left = int(rng.integers(0, 60))
        side = int(rng.integers(16, 50))
        piece = canvas.others[0][top : top + side, left : left + side]

        return cv2.resize(piece, (SIZE, SIZE)).astype(np.float32) * rng.uniform(0.5, 1.3)

    colours = np.ones((SIZE, SIZE, 3), np.float32) * rng.uniform(5, 250, 3).astype(np.float32)
    if draw < 0.65:
        colours[:] = rng.choice((rng.uniform(0, 40), rng.uniform(5, 250)))  # black is common

    colours *= slope(rng, rng.uniform(0.4, 1))
    if draw > 0.8:
        along, _ = direction(rng)
        y, x = np.mgrid[:SIZE, :SIZE]
        stripes = np.sin((x * along[0] + y * along[1]) * rng.uniform(0.15, 1.2))
        colours += (stripes * rng.uniform(5, 60))[..., None]

    return colours + rng.normal(0, rng.uniform(0, 8), (SIZE, SIZE, 1))


def slope(rng: Generator, lowest: float) -> Array:
    """Return a smooth step of light across the crop, [112, 112, 1] from `lowest` to 1."""
    along, _ = direction(rng)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    middle = SIZE / 2 + rng.normal(0, 12, 2)
    distance = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / SIZE
    # From light that falls off across the whole face to a lamp's hard edge, a pixel wide.
    steepness = np.exp(rng.uniform(np.log(2), np.log(250)))
    step = 1 / (1 + np.exp(-np.clip(steepness * distance, -30, 30)))

    return np.asarray((lowest + (1 - lowest) * step)[..., None], np.float32)
