"""Seeing what passes in front of a face: a hand or a microphone is no skin that was there before.

The mesh network stays sure of itself behind a hand, so its confidence alone cannot tell. A film,
however, has shown the same face uncovered: its colours at the mesh's points change little from
frame to frame, whatever the face does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE

COVERED_LEVELS = (
    24.0  # of 255; turning and smiling change a point by 10, at most 25 off the outline
)
LEARNING_RATE = 0.1  # per frame, where the face is seen
FORGETTING_RATE = (
    0.01  # where it is not: a beard shaved in a cut must not stay an occluder for ever
)
HOLD = 0.4  # share of the last frame's verdict, so that the edge of a hand does not flicker
GRID = 56
SPREAD = 2.2  # of the grid: about the distance between mesh points
MIN_SHARE = 0.02  # of the points: fewer are noise
# Lids, lips and the outline change colour without being covered.
RESTLESS = (
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    *(263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(
        152,
        148,
        176,
        149,
        150,
        136,
        172,
        58,
        132,
        93,
        234,
        127,
        162,
        21,
        54,
        103,
        67,
        109,
        138,
        215,
        435,
        367,
    ),
)

Array = NDArray[Any]


@dataclass
class OcclusionMemory:
    """How one person's face looks uncovered: colours at the 468 points, learned while they are
    followed.
    """

    _colours: Array | None = field(default=None, init=False)
    _covered: Array = field(default_factory=lambda: np.zeros(468, np.float32), init=False)

    def reset(self) -> None:
        """Forget: the light of another shot makes other colours."""
        self._colours = None
        self._covered = np.zeros(468, np.float32)

    def cover(self, target: RgbImage, landmarks: Landmarks) -> Mask | None:
        """Return how much each pixel of the 224 px crop is covered, 0..1, or None when nothing is;
        and learn from it.

        `landmarks` are in the crop's pixels. The first frame is taken for uncovered.
        """
        at = np.clip(np.rint(landmarks), 0, TEMPLATE_SIZE - 1).astype(np.intp)
        seen = cv2.blur(target, (7, 7))[at[:, 1], at[:, 0]].astype(np.float32)
        if self._colours is None:
            self._colours = seen
            return None
        light = np.median(seen, axis=0) / np.maximum(np.median(self._colours, axis=0), 1)
        change = np.abs(seen - self._colours * light).max(axis=1)
        change[list(RESTLESS)] *= 0.5
        self._covered = HOLD * self._covered + (1 - HOLD) * (change > COVERED_LEVELS)
        rate = np.where(change > COVERED_LEVELS, FORGETTING_RATE, LEARNING_RATE).astype(np.float32)[
            :, None
        ]
        self._colours += rate * (seen / np.maximum(light, 0.05) - self._colours)
        return _field(at, self._covered) if float(self._covered.mean()) > MIN_SHARE else None


def _field(at: Array, covered: Array) -> Mask:
    """Spread the points' verdicts over the crop: the local share of covered points, made
    steeper.
    """
    cells = at[:, 1] * GRID // TEMPLATE_SIZE * GRID + at[:, 0] * GRID // TEMPLATE_SIZE
    there, hit = (
        np.bincount(cells, weights, GRID * GRID).reshape(GRID, GRID) for weights in (None, covered)
    )
    share = cv2.GaussianBlur(hit, (0, 0), SPREAD) / (
        cv2.GaussianBlur(there.astype(float), (0, 0), SPREAD) + 1e-3
    )
    steep = np.clip((share - 0.25) / 0.35, 0, 1).astype(np.float32)
    return np.asarray(
        cv2.resize(steep, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_LINEAR),
        np.float32,
    )
