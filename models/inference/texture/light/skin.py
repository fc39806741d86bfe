"""What of a face is skin: told by colour, and by where eyes, brows and lips are.

Works on a small grid: skin colour is a matter of low frequencies, and a grid costs a sixteenth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage, percentile
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.mesh_points import BROWS, EYES, OUTER_LIPS

GRID = 56
LEAST_CORE = 30  # cells: of less no colour can be told
# Robust spreads of the core's own colour: what is nearer is wholly skin, what is farther is none.
SURE_SPREADS = 3.0
LAST_SPREADS = 4.5
# Levels of OpenCV's Lab added to the spread: a face in half shadow is skin on both sides (in L).
LEAST_SPREAD = np.array([20, 3, 3], np.float32)

Array = NDArray[Any]


def on_grid(image: Array) -> Array:
    """Return an image shrunk to the grid."""
    return np.asarray(cv2.resize(image, (GRID, GRID), interpolation=cv2.INTER_AREA))


def features_on_grid(mesh: Landmarks) -> Array:
    """Return where eyes, brows and lips are, float32 [GRID, GRID] in 0..1; no skin is there."""
    drawn = hulls_on_grid(mesh, (*EYES, *BROWS), grow=3)
    return np.maximum(drawn, hulls_on_grid(mesh, (OUTER_LIPS,), grow=5))


def hulls_on_grid(mesh: Landmarks, outlines: Iterable[Sequence[int]], grow: int) -> Array:
    """Return the filled hulls of mesh points in a swap crop, dilated by a `grow` px square."""
    ratio = GRID / TEMPLATE_SIZE
    drawn = np.zeros((GRID, GRID), np.uint8)

    for outline in outlines:
        points = (mesh[list(outline)] + 0.5) * ratio - 0.5
        hull = cv2.convexHull(np.round(points * 16).astype(np.int32))
        cv2.fillConvexPoly(drawn, hull, 255, cv2.LINE_AA, shift=4)

    grown = cv2.dilate(drawn, np.ones((grow, grow), np.uint8))
    return np.multiply(grown, np.float32(1 / 255), dtype=np.float32)


def skinness(image: RgbImage, core: Array) -> Array:
    """Return how much each cell has the colour that most of the core has, float32 in 0..1.

    `image` is uint8 RGB on the grid, `core` where skin is expected. The distance is measured in
    Lab, in robust spreads of the core's own colour.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    samples = lab[core > 0.5][::2]  # every second cell: neighbours say the same

    if len(samples) < LEAST_CORE:
        return np.ones((GRID, GRID), np.float32)

    middle = percentile(samples, 50)
    spread = percentile(np.abs(samples - middle), 50) * 1.48 + LEAST_SPREAD
    to_spreads = np.column_stack([np.diag(1 / spread), -middle / spread]).astype(np.float32)
    apart = cv2.transform(lab, to_spreads)
    distance = cv2.sqrt(cv2.transform(cv2.multiply(apart, apart), np.ones((1, 3), np.float32)))
    share = (LAST_SPREADS - distance) / (LAST_SPREADS - SURE_SPREADS)

    return np.asarray(np.clip(share, 0, 1), np.float32)
