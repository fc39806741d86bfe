"""Where a swapped crop shows, in the 224 px crop."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, Plane, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.frames import resampling
from models.inference.mesh_points import EYES, OUTER_LIPS
from models.inference.options import Preserved, SwapOptions

BORDER_PX = 8  # the crop's edge must never show as a line
HULL_MARGIN_PX = 6  # past the mesh there is skin too, but no more than this
PRESERVED_MARGIN_PX = 4  # half of it is feathered away
FULL_FEATHER_PX = 5
FULL_ERODE_PX = 12

PRESERVED: dict[Preserved, tuple[tuple[int, ...], ...]] = {
    "mouth": (OUTER_LIPS,),
    "eyes": EYES,
}
# The crop's middle, where a face is.
INNER = np.s_[
    TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4, TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4
]


def shape_mask(soft: Mask, landmarks: Landmarks, options: SwapOptions) -> Mask:
    """Return where the face shows: the network's soft mask, eroded and feathered once, inside the
    mesh's hull.

    `landmarks` are in the 224 px crop. What `options.preserve` names stays the target's.
    """
    levels: resampling.Pixels = (soft * np.float32(255)).astype(np.uint8)
    if options.mask_erode > 0:
        levels = cv2.erode(levels, _disc(options.mask_erode * FULL_ERODE_PX))

    levels = np.minimum(levels, _hull(landmarks))
    for edge in (slice(None, BORDER_PX), slice(-BORDER_PX, None)):
        levels[edge] = 0
        levels[:, edge] = 0

    if options.mask_feather > 0:
        kernel = 2 * round(options.mask_feather * FULL_FEATHER_PX) + 1
        levels = cv2.blur(cv2.blur(levels, (kernel, kernel)), (3, 3))

    for name in options.preserve:
        levels = cv2.subtract(levels, _filled(landmarks, PRESERVED[name]))

    return np.multiply(levels, np.float32(1 / 255), dtype=np.float32)


def _hull(landmarks: Landmarks) -> Plane:
    hull = np.zeros((TEMPLATE_SIZE, TEMPLATE_SIZE), np.uint8)
    outline = cv2.convexHull(np.round(landmarks).astype(np.int32))
    cv2.fillConvexPoly(hull, outline, 255)
    return np.asarray(cv2.dilate(hull, _disc(HULL_MARGIN_PX)), np.uint8)


def _filled(landmarks: Landmarks, outlines: Iterable[tuple[int, ...]]) -> Plane:
    filled = np.zeros((TEMPLATE_SIZE, TEMPLATE_SIZE), np.uint8)
    for outline in outlines:
        cv2.fillPoly(filled, [np.round(landmarks[list(outline)]).astype(np.int32)], 255)
    return np.asarray(cv2.blur(cv2.dilate(filled, _disc(PRESERVED_MARGIN_PX)), (5, 5)), np.uint8)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * round(radius) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def without_cover(target: RgbImage, cover: Mask) -> RgbImage:
    """Fill what is covered with the face's mean colour: a black microphone must not darken the
    texture's light.
    """
    open_face = (cover[INNER] < 0.5).astype(np.uint8)
    mean = np.array(cv2.mean(target[INNER], open_face)[:3])
    # A row, repeated: filling pixel by pixel takes ten times as long.
    row = np.full((target.shape[1], 3), mean + 0.5, np.uint8)
    filled = np.empty_like(target)
    filled[:] = row
    mixed = target.copy()
    resampling.blend(mixed, filled, cv2.convertScaleAbs(cover, alpha=resampling.MASK_LEVELS))

    return mixed
