"""What changes in a face and its light without anything being in front of it: never cover.

Each of these was taken for an occluder by a network that had not seen it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.networks.cover_net import SIZE
from models.training.cover.canvas import Canvas, Generator, slope
from models.training.cover.shapes import SHAPES

Array = NDArray[Any]

SHINY = (151, 9, 10, 4, 6, 50, 280, 69, 299)  # forehead, nose, cheeks
JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
JAW_RIGHT = (152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
MOUTH = ((13, 14), (61, 291))
JPEG_QUALITY = (12, 60)


def open_mouth(rng: Generator, image: RgbImage, mesh: Landmarks) -> tuple[RgbImage, Landmarks]:
    """Return the face with its jaw pulled down and a mouth drawn in: portraits never show one.

    Lengths are for an image of 144 px, whose eyes are 35 px apart.
    """
    mesh = mesh.copy()
    centre = mesh[list(MOUTH[0])].mean(0)
    half_width = float(abs(mesh[MOUTH[1][0], 0] - mesh[MOUTH[1][1], 0]) / 2)
    opened = rng.uniform(3, 15)
    chin = float(mesh[152, 1])

    def pulled(x: Array, y: Array) -> tuple[Array, Array]:
        """How far each point moves down, and how far the lower lip above it does."""
        lip = np.exp(-(((x - centre[0]) / half_width) ** 4))
        jaw = np.exp(-(((x - centre[0]) / 2.2 / half_width) ** 2))
        below = np.clip((y - centre[1] - opened) / 14, 0, 1)
        above_neck = np.clip((chin + 16 - y) / 16, 0, 1)

        return opened * (lip + (jaw - lip) * below) * above_neck, opened * lip

    y, x = np.mgrid[: len(image), : len(image)].astype(np.float32)
    down, gap = pulled(x, y)
    from_y = np.where(y > centre[1], np.maximum(y - down, centre[1]), y).astype(np.float32)
    moved = cv2.remap(image, x, from_y, cv2.INTER_LINEAR)

    between = (y > centre[1]) & (y < centre[1] + gap - 1) & (gap > 1.5)
    inside = cv2.GaussianBlur(between.astype(np.float32), (0, 0), 0.8)[..., None]
    tongue = np.array([rng.uniform(15, 130), rng.uniform(8, 60), rng.uniform(8, 60)], np.float32)
    filled = np.ones_like(moved, np.float32) * tongue

    if rng.random() < 0.6:
        filled[y < centre[1] + rng.uniform(0.2, 0.45) * gap] = rng.uniform(130, 230)  # teeth

    low = mesh[:, 1] > centre[1] + 0.2
    mesh[low, 1] += pulled(mesh[:, 0], mesh[:, 1])[0][low]
    return np.asarray(moved * (1 - inside) + filled * inside, np.uint8), mesh


def soften(rng: Generator, image: RgbImage) -> RgbImage:
    """Return the face as a poor camera or a beauty filter shows it, before anything is put in
    front: an occluder must not be told by being sharper.
    """
    draw = rng.random()
    if draw < 0.2:
        return np.asarray(cv2.bilateralFilter(image, 5, 40, 3), np.uint8)
    if draw < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.2)), np.uint8)

    return image


def light(canvas: Canvas, rng: Generator) -> None:
    """Throw half shadows, coloured lights and highlights on the face."""
    if rng.random() < 0.45:
        canvas.image *= slope(rng, rng.uniform(0.15, 0.8)) * rng.uniform(0.9, 1.4)
    if rng.random() < 0.3:
        share = slope(rng, 0)
        one = rng.uniform(0.45, 1.3, 3)
        other = rng.uniform(0.45, 1.3, 3)
        canvas.image *= np.asarray(share * one + (1 - share) * other, np.float32)

    if rng.random() < 0.3:
        _shine(canvas, rng)
    if rng.random() < 0.25:
        _cast_shadow(canvas, rng)


def _cast_shadow(canvas: Canvas, rng: Generator) -> None:
    """Throw the shadow of something outside the image: a bar, a leaf, a brim; what lies under it
    shows through, which tells it from cover.
    """
    shape = SHAPES[rng.integers(len(SHAPES))](canvas, rng)
    shadow = cv2.GaussianBlur(np.clip(shape, 0, 1), (0, 0), float(np.exp(rng.uniform(-1, 1.8))))
    left = rng.uniform(0.25, 0.85) * rng.uniform(0.85, 1.15, 3)
    canvas.image *= np.asarray(1 - shadow[..., None] * (1 - left), np.float32)


def _shine(canvas: Canvas, rng: Generator) -> None:
    for point in rng.choice(SHINY, int(rng.integers(1, 4))):
        x, y = canvas.mesh[point] + rng.normal(0, 4, 2)
        spread = np.exp(rng.uniform(np.log(2), np.log(14), 2))
        rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
        spot = np.exp(-(((columns - x) / spread[0]) ** 2) - ((rows - y) / spread[1]) ** 2)
        lamp = rng.uniform(190, 255, 3).astype(np.float32)
        canvas.image += (lamp - canvas.image) * (spot * rng.uniform(0.15, 0.85))[..., None]


def grow_beard(canvas: Canvas, rng: Generator) -> None:
    """Draw a beard or stubble of any colour, white too: it belongs to the face."""
    jaw = canvas.mesh[list(JAW + JAW_RIGHT[1:])]
    nose = canvas.mesh[2]
    mouth = canvas.mesh[[61, 291, 0, 17]].mean(0)
    from_y = rng.uniform(0, 1) * (mouth[1] - nose[1]) + nose[1]
    outline = np.concatenate([jaw[jaw[:, 1] > from_y], [canvas.mesh[205], nose, canvas.mesh[425]]])
    area = np.zeros((SIZE, SIZE), np.float32)
    hull = cv2.convexHull(np.round(outline).astype(np.int32))
    cv2.fillConvexPoly(area, hull, 1.0, cv2.LINE_AA)

    lips = np.round(canvas.mesh[[61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91]])
    cv2.fillConvexPoly(area, cv2.convexHull(lips.astype(np.int32)), 0.0)
    if rng.random() < 0.35:  # a goatee or a moustache: no wider than the mouth
        middle = np.abs(np.arange(SIZE) - mouth[0]) < abs(canvas.mesh[61, 0] - mouth[0]) * 1.2
        area *= middle[None]

    share = cv2.GaussianBlur(area, (0, 0), rng.uniform(1, 5)) * rng.uniform(0.25, 0.95)
    rough = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE), np.float32), (0, 0), 0.8)

    tone = rng.uniform(15, 235) * np.array([1, rng.uniform(0.8, 1), rng.uniform(0.6, 1)])
    colours = tone * (1 + rough * rng.uniform(0.1, 0.5))[..., None]
    canvas.image += np.asarray((colours - canvas.image) * share[..., None], np.float32)


def photograph(rng: Generator, image: Array) -> Array:
    """Return the crop, float32 in 0..255, as a camera and a codec leave it: exposure, white
    balance, low resolution, compression, noise.
    """
    balance = (rng.uniform(0.6, 1.35) * rng.uniform(0.82, 1.18, 3) / 255).astype(np.float32)
    bright = np.clip(image * balance, 0, 1)
    image = cv2.pow(bright, float(rng.uniform(0.7, 1.4))) * np.float32(255)

    if rng.random() < 0.15:
        grey = image.mean(2, keepdims=True)
        image = image + (grey - image) * np.float32(rng.uniform(0.5, 1))

    if rng.random() < 0.45:
        side = int(SIZE * rng.uniform(0.3, 0.9))
        image = cv2.resize(
            cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), (SIZE, SIZE)
        )

    if rng.random() < 0.3:
        quality = int(rng.integers(*JPEG_QUALITY))
        levels = np.clip(image, 0, 255).astype(np.uint8)
        _, coded = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.float32)

    grain = rng.standard_normal(image.shape, np.float32)
    noisy = image + grain * np.float32(rng.uniform(0, 6))
    return np.asarray(np.clip(noisy, 0, 255), np.float32)
