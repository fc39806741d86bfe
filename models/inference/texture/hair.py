"""Hair over a face: told from skin by colour, and by hanging in from the rim.

The photo's hair is taken off a texture, the target's own stays over the swapped face. Both are told
by the same test: darker than the skin or of another hue, above the eyes, and connected to the
mesh's rim. Dark spots in the middle of a forehead are not hair.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, Mask, RgbImage, luma, percentile
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.mesh_points import BROWS, EYES, OUTER_EYE_CORNERS

# Nose, cheeks and between the brows: where hair hardly ever is, so that their colour is skin's.
SKIN_POINTS = (50, 280, 117, 346, 4, 6, 195, 9)
SKIN_RADIUS = 8 / TEMPLATE_SIZE
# What scores 1: a third darker than skin, or as far off in hue (shade keeps its hue, hair does
# not).
DARKER = 0.33
OFF_HUE = 0.28
LEAST_LEVEL = 50.0  # of luma: on dark skin a smaller difference is shade
HAIR_SCORE = 0.85
# of the score: how much of a pixel is hair
SOFT_FROM = 0.8
SOFT_RANGE = 0.35

GRID = 112
NEAR_EYES = (10, 4)  # of the grid: brows that are raised, and shade, are no hair
# Of a texture: the mesh's outline is this far off, so that what lies nearer to it is never sure to
# be the face.
OUTLINE_PX = 4.0
RIM_PX = 4.5  # of the grid: hair reaches at least this near to the mesh's outline
BELOW_EYES_PX = 5.0  # hair at the temples hangs as far
BEHIND_PX = 3.0  # of the grid: so far in, the mesh's outline may lie beside the target's own
# At the jaw hair and shade are the target's, and stay; what is twice as light or as dark as skin
# or of quite another hue is what is behind it.
BEHIND_LEVELS = 0.6
BEHIND_HUE = 0.35

Array = NDArray[Any]


def hair_score(image: RgbImage, mesh: Landmarks) -> Array:
    """Return how unlike the face's skin each pixel is, about 1 where hair begins: float32 [h, w].

    `mesh` is in the image's pixels.
    """
    dark, off_hue = _unlikeness(image, mesh)
    return np.maximum(dark / DARKER, off_hue / OFF_HUE)


def upper_face(
    mesh: Landmarks, size: int, reach: tuple[int, int], brow_share: float = 1.0
) -> NDArray[np.bool_]:
    """Return where hair may hang over a face: above the eyes, away from eyes and brows.

    `reach` says how far away, in rows and columns of the image; `brow_share` how much of a brow's
    height is kept, from below: a fringe hangs into its upper part.
    """
    eyes = mesh[list(OUTER_EYE_CORNERS)].mean(0)
    down = mesh[152] - mesh[10]
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    places = np.arange(size, dtype=np.float32)
    below = (places - eyes[0])[None] * down[0] + (places - eyes[1])[:, None] * down[1]
    kept = np.zeros((size, size), np.uint8)

    for brow, eye in zip(BROWS, EYES, strict=True):
        # The outline of a brow is five points above and, backwards, the five below them.
        lower = mesh[list(brow[:4:-1])]
        upper = lower + (mesh[list(brow[:5])] - lower) * np.float32(brow_share)
        around = np.concatenate([upper, lower, mesh[list(eye)]])
        cv2.fillConvexPoly(kept, cv2.convexHull(np.round(around).astype(np.int32)), 1)

    near_eyes = cv2.dilate(kept, np.ones((2 * reach[0] + 1, 2 * reach[1] + 1), np.uint8)) > 0
    return np.asarray((below < BELOW_EYES_PX * size / GRID) & ~near_eyes, bool)


def hanging_in(hair: NDArray[np.bool_], depth: Array, rim: float) -> NDArray[np.bool_]:
    """Return the parts of `hair` that come as near to the outline as `rim`."""
    count, parts = cv2.connectedComponents(hair.astype(np.uint8))
    is_hanging = np.zeros(count, np.bool_)
    is_hanging[parts[(depth < rim) & hair]] = True
    return np.asarray(is_hanging[parts], bool)


def depth_inside(mesh: Landmarks, size: int) -> Array:
    """Return how far inside the mesh's outline each pixel lies, 0 outside: float32 [size, size]."""
    inside = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(mesh).astype(np.int32)), 1)
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1])


def targets_own(target: RgbImage, mesh: Landmarks) -> Mask:
    """Return what of a swap crop stays the target's: its hair over the forehead, and what is behind
    its jaw where the mesh's outline lies past it. Float32 [224, 224] in 0..1.
    """
    small = cv2.resize(target, (GRID, GRID), interpolation=cv2.INTER_AREA)
    points = (mesh + 0.5) * (GRID / TEMPLATE_SIZE) - 0.5
    depth = depth_inside(points, GRID)
    dark, off_hue = _unlikeness(np.asarray(small, np.uint8), points)
    score = np.maximum(dark / DARKER, off_hue / OFF_HUE)
    upper = upper_face(points, GRID, NEAR_EYES)
    hair = hanging_in((score > HAIR_SCORE) & upper & (depth > 0), depth, RIM_PX)
    soft = np.clip((score - SOFT_FROM) / SOFT_RANGE, 0, 1).astype(np.float32)
    soft *= cv2.dilate(hair.astype(np.uint8), np.ones((3, 3), np.uint8))
    unlike = (np.abs(dark) > BEHIND_LEVELS) | (off_hue > BEHIND_HUE)
    behind = (unlike & ~upper & (depth < BEHIND_PX) & (depth > 0)).astype(np.float32)
    kept = cv2.GaussianBlur(np.maximum(soft, behind), (0, 0), 0.8)
    size = (TEMPLATE_SIZE, TEMPLATE_SIZE)

    return np.asarray(cv2.resize(kept, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _unlikeness(image: RgbImage, mesh: Landmarks) -> tuple[Array, Array]:
    """Return how much darker than the skin each pixel is, as a share of it, and how far off in
    hue.
    """
    size = image.shape[0]
    smooth = cv2.GaussianBlur(image, (0, 0), 1.3 * size / TEMPLATE_SIZE).astype(np.float32)
    spots = np.zeros(image.shape[:2], np.uint8)

    for point in SKIN_POINTS:
        x, y = (int(value) for value in mesh[point])
        cv2.circle(spots, (x, y), round(SKIN_RADIUS * size), 1, -1)

    samples = smooth[spots > 0]
    skin = percentile(samples, 50) if len(samples) else smooth.reshape(-1, 3).mean(0)
    level = float(skin @ LUMA)
    levels = luma(smooth)
    dark = (level - levels) / max(level, LEAST_LEVEL)
    per_level = 1 / (levels + 8)
    # Merged: OpenCV multiplies three planes by one several times faster than numpy.
    hue = cv2.multiply(smooth, cv2.merge([per_level, per_level, per_level]))
    off_hue = cv2.transform(np.abs(hue - skin / (level + 8)), np.ones((1, 3), np.float32))

    return np.clip(dark, -2, 1), np.asarray(off_hue, np.float32)
