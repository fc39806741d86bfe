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
from models.inference.mesh_points import BROWS, EYES, MOUTH_CORNERS, NOSE_BASE, OUTER_LIPS

GRID = 56
LEAST_CORE = 30  # cells: of less no colour can be told
# Robust spreads of the core's own colour: what is nearer is wholly skin, what is farther is none.
SURE_SPREADS = 3.0
LAST_SPREADS = 4.5
# Levels of OpenCV's Lab added to the spread: a face in half shadow is skin on both sides (in L).
LEAST_SPREAD = np.array([20, 3, 3], np.float32)
GREY = np.float32(128)  # of OpenCV's a and b
# Levels of a and b by which a chin or an upper lip is less coloured than the skin above the nose:
# less is a shaven beard, or a flush. From the one to the other, so that no frame of a video differs
# much from the next.
BEARD_HUE = 6.5
SURE_BEARD_HUE = 9.5
# On the way from the skin's hue to the beard's: from where on a cell is less of skin, and none.
BEARD_FROM = 0.35
BEARD_SURE = 0.65

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


def lower_face(mesh: Landmarks) -> tuple[Array, Array]:
    """Return where beards grow, below the nose, and where a face with a beard shows it: on the chin
    and above the lips. Bool [GRID, GRID] each, for an upright face in a swap crop.
    """
    ratio = GRID / TEMPLATE_SIZE
    points = (mesh + 0.5) * ratio - 0.5
    left, right = points[list(MOUTH_CORNERS)]
    columns = np.arange(GRID)
    rows = columns[:, None]
    below = np.broadcast_to(rows > float(points[NOSE_BASE, 1]), (GRID, GRID))
    middle = np.abs(columns - (left[0] + right[0]) / 2) < abs(right[0] - left[0]) / 2
    chin = rows > (left[1] + right[1]) / 2

    return below, np.stack([below & middle & chin, below & middle & ~chin])


def lab_of(image: RgbImage) -> Array:
    """Return an image in Lab as OpenCV counts it for bytes, float32."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.float32)


def skinness(lab: Array, core: Array) -> Array:
    """Return how much each cell has the colour that most of the core has, float32 in 0..1.

    `lab` is what `lab_of` returns of the grid, `core` where skin is expected. The distance is
    measured in robust spreads of the core's own colour.
    """
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


def beard(lab: Array, core: Array, below: Array, zones: Array) -> Array:
    """Return how much each cell has a beard's colour, float32 in 0..1, and 0 without one.

    `below` and `zones` are what `lower_face` returns. A beard is less coloured than the skin above
    it, be it white or black; on most of a face it is no more its skin than on a chin.
    """
    none = np.zeros((GRID, GRID), np.float32)
    hues = lab[..., 1:] - GREY
    # Every fourth cell: neighbours say the same.
    some = hues[::2, ::2]
    inside = core[::2, ::2] > 0.5
    cheeks = some[inside & ~below[::2, ::2]]

    if len(cheeks) < LEAST_CORE:
        return none

    skin = percentile(cheeks, 50)
    shown = [some[inside & zone[::2, ::2]] for zone in zones]
    found = [percentile(cells, 50) for cells in shown if len(cells)]
    apart = [hue - skin for hue in found if np.linalg.norm(hue) < np.linalg.norm(skin)]
    furthest = max(apart, key=lambda way: float(way @ way), default=None)

    if furthest is None or np.linalg.norm(furthest) < BEARD_HUE:
        return none

    # 0 is the skin's hue, 1 the beard's.
    way = (hues - skin) @ furthest / float(furthest @ furthest)
    share = np.clip((way - BEARD_FROM) / (BEARD_SURE - BEARD_FROM), 0, 1)
    sure = (float(np.linalg.norm(furthest)) - BEARD_HUE) / (SURE_BEARD_HUE - BEARD_HUE)

    return np.asarray(min(sure, 1.0) * share * below, np.float32)
