"""What is put in front of faces: hands, hair, glasses, objects, and what covers a mouth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import RgbImage
from models.inference.frames.affine import compose
from models.networks.cover_net import SIZE
from models.training.cover.canvas import (
    Canvas,
    Generator,
    blank,
    ellipse,
    line,
    surface,
    whole,
)
from models.training.cover.shapes import SHAPES
from models.training.cover.solid_hands import solid_hand

Array = NDArray[Any]

OWN_COLOUR = 0.75  # of the hands: the face's own skin, which is hardest to tell from it
AT_OUTLINE = 0.55  # of the hands: half on the face, half beside it
SHADOWS = 0.6
# A hand's shadow lies beside it, as far off as the hand is from the face, and is no part of it.
SHADOW_PX = 6
HAND_SHADOW_PX = 14
MOVING = 0.3
SOFT_PX = (0.4, 0.7, 1.1, 1.8)  # how soft an occluder's edge is: in focus, or not


@dataclass(frozen=True)
class Hands:
    """Hands cut from clips: pixels uint8 [n, 112, 112, 3], alpha uint8 [n, 112, 112]."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    def draw(self, rng: Generator) -> tuple[RgbImage, Array]:
        index = rng.integers(len(self.alpha))
        return self.pixels[index], self.alpha[index]


def cover(canvas: Canvas, rng: Generator, hands: Hands) -> None:
    """Put one or two things in front of the face."""
    _put(canvas, rng, hands)
    if rng.random() < 0.15:
        _put(canvas, rng, hands)


def _put(canvas: Canvas, rng: Generator, hands: Hands) -> None:
    draw = rng.random()
    if draw < 0.14:
        _lay(canvas, rng, "object", *_cut_hand(canvas, rng, hands), shadow_px=HAND_SHADOW_PX)
    elif draw < 0.5:
        drawn = solid_hand(canvas, rng, _place(canvas, rng))
        _lay(canvas, rng, "object", *drawn, shadow_px=HAND_SHADOW_PX)
    elif draw < 0.68:
        far = SHADOW_PX if rng.random() < 0.2 else 0
        _lay(canvas, rng, "hair", *_hair(canvas, rng), shadow_px=far)
    elif draw < 0.78:
        _glasses(canvas, rng)
    else:
        shape = SHAPES[rng.integers(len(SHAPES))]
        _lay(canvas, rng, "object", surface(rng, canvas), shape(canvas, rng))


def _place(canvas: Canvas, rng: Generator) -> Array:
    """Return where a hand touches the face."""
    return canvas.on_outline(rng) if rng.random() < AT_OUTLINE else canvas.somewhere(rng)


def _lay(
    canvas: Canvas,
    rng: Generator,
    kind: str,
    colours: Array,
    alpha: Array,
    shadow_px: int = SHADOW_PX,
) -> None:
    alpha = cv2.GaussianBlur(np.clip(alpha, 0, 1), (0, 0), float(rng.choice(SOFT_PX)))
    if shadow_px and rng.random() < SHADOWS:
        off = np.column_stack([np.eye(2), rng.uniform(-shadow_px, shadow_px, 2)])
        moved = cv2.warpAffine(alpha, off, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        canvas.shade(cv2.GaussianBlur(moved, (0, 0), rng.uniform(1, 6)) * rng.uniform(0.1, 0.6))

    if kind == "object" and rng.random() < MOVING:
        length = int(rng.integers(3, 12))
        side = (length, 1) if rng.random() < 0.5 else (1, length)
        colours = cv2.blur(colours * alpha[..., None], side)
        alpha = cv2.blur(alpha, side)
        colours = colours / np.maximum(alpha, 1e-3)[..., None]

    canvas.paste(kind, colours, alpha)


def _cut_hand(canvas: Canvas, rng: Generator, hands: Hands) -> tuple[Array, Array]:
    pixels, alpha = hands.draw(rng)
    at = _place(canvas, rng)
    middle = (SIZE - 1) / 2
    turn = cv2.getRotationMatrix2D(
        (middle, middle), rng.uniform(0, 360), float(np.exp(rng.uniform(-0.45, 0.7)))
    )

    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        alpha = np.ascontiguousarray(alpha[:, ::-1])

    turn = compose(np.column_stack([np.eye(2), at - middle]), np.asarray(turn))

    colours = cv2.warpAffine(pixels, turn, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    colours = colours.astype(np.float32)

    if rng.random() < OWN_COLOUR:
        own = np.maximum(pixels[alpha > 200].mean(0), 1)
        colours *= canvas.skin / own * rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)

    return colours, cv2.warpAffine(alpha, turn, (SIZE, SIZE)) / np.float32(255)


def _mottled(rng: Generator) -> Array:
    """Return skin's unevenness, [112, 112] about 1."""
    rough = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE), np.float32), (0, 0), 3)
    return np.asarray(1 + rough * rng.uniform(0, 0.35), np.float32)


def _hair(canvas: Canvas, rng: Generator) -> tuple[Array, Array]:
    """Strands that hang in from above or from a side, in tones or filled with another photo's
    hair.
    """
    tone = rng.uniform(8, 210) * np.array([1, rng.uniform(0.7, 0.97), rng.uniform(0.45, 0.95)])
    colours = np.ones((SIZE, SIZE, 3), np.float32) * tone.astype(np.float32)

    if rng.random() < 0.5:
        colours = cv2.resize(canvas.others[0][2:20, 40:100], (SIZE, SIZE)).astype(np.float32)

    alpha = blank()
    drawn = rng.random() < 0.6
    low = canvas.mesh.min(0)
    high = canvas.mesh.max(0)
    at_side = rng.random() < 0.35
    side = rng.integers(2)
    start_x = (low[0], high[0])[side] if at_side else rng.uniform(low[0], high[0])
    start_y = low[1] + rng.uniform(-4, 25 if at_side else 5)
    sweep = rng.normal(0, 6 if at_side else 14)
    spread = rng.uniform(3, 9) if at_side else rng.uniform(6, 32)
    length = rng.uniform(40, 100) if at_side else rng.uniform(8, 60)

    for _ in range(rng.integers(20, 140)):
        root = np.array([start_x + rng.normal(0, spread), start_y + rng.uniform(-6, 5)])
        tip = root + np.array([sweep + rng.normal(0, 4), length * rng.uniform(0.6, 1.2)])
        width = int(rng.integers(1, 3))
        cv2.line(alpha, whole(root), whole(tip), rng.uniform(0.6, 1), width, cv2.LINE_AA)

        if drawn:
            shade = tuple(float(v) for v in tone * rng.uniform(0.6, 1.5))
            cv2.line(colours, whole(root), whole(tip), shade, width, cv2.LINE_AA)

    return colours, alpha


def _glasses(canvas: Canvas, rng: Generator) -> None:
    """Frames, with clear lenses that shine or dark ones that hide the eyes."""
    left = canvas.eye(0)
    right = canvas.eye(1)
    apart = float(np.linalg.norm(right - left))
    across = (right - left) / max(apart, 1)
    turn_deg = float(np.degrees(np.arctan2(across[1], across[0])))
    radii = np.array([rng.uniform(0.28, 0.44), rng.uniform(0.17, 0.38)]) * apart
    width = rng.uniform(1, 3.4)
    drop = np.array([-across[1], across[0]]) * rng.uniform(-1, 4)
    alpha = blank()
    lenses = blank()

    for eye, way in ((left, -1), (right, 1)):
        ellipse(lenses, eye + drop, radii, turn_deg)
        if rng.random() < 0.9:
            ellipse(alpha, eye + drop, radii, turn_deg, width)

        hinge = eye + drop + across * way * radii[0]
        ear = hinge + across * way * 30 + np.array([0, rng.uniform(-4, 2)])
        line(alpha, hinge, ear, 1.0, width - 0.5)

    line(alpha, left + drop + across * radii[0], right + drop - across * radii[0], 1.0, width)

    dark = rng.random() < 0.35
    if dark:
        alpha = np.maximum(alpha, lenses * rng.uniform(0.75, 1))
    elif rng.random() < 0.5:
        shine = lenses * np.clip(_mottled(rng) - 1, 0, 1) * rng.uniform(0, 2)
        canvas.image += (rng.uniform(150, 255) - canvas.image) * np.clip(shine, 0, 0.8)[..., None]

    colours = surface(rng, canvas) * (0.35 if dark or rng.random() < 0.6 else 1)
    canvas.paste("glasses", colours, cv2.GaussianBlur(alpha, (0, 0), 0.5))
