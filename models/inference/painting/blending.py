"""Making a swapped crop fit its surroundings: where it shows, and in which colours.

All in the 224 px crop.
"""

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
COLOUR_GRID = 56
GAIN_RANGE = (0.8, 1.25)

PRESERVED: dict[Preserved, tuple[tuple[int, ...], ...]] = {
    "mouth": (OUTER_LIPS,),
    "eyes": EYES,
}


def shape_mask(soft: Mask, landmarks: Landmarks, options: SwapOptions) -> Mask:
    """Return where the face shows: the network's soft mask, drawn in and feathered once, inside the
    mesh's hull.

    `landmarks` are in the 224 px crop. What `options.preserve` names stays the target's.
    """
    levels: resampling.Pixels = (soft * np.float32(255)).astype(np.uint8)
    if options.mask_erode > 0:
        levels = cv2.erode(levels, _disc(options.mask_erode * FULL_ERODE_PX))
    levels = np.minimum(levels, _hull(landmarks))
    levels[:BORDER_PX], levels[-BORDER_PX:], levels[:, :BORDER_PX], levels[:, -BORDER_PX:] = (
        0,
        0,
        0,
        0,
    )
    if options.mask_feather > 0:
        kernel = 2 * round(options.mask_feather * FULL_FEATHER_PX) + 1
        levels = cv2.blur(cv2.blur(levels, (kernel, kernel)), (3, 3))
    for name in options.preserve:
        levels = cv2.subtract(levels, _filled(landmarks, PRESERVED[name]))
    return np.multiply(levels, np.float32(1 / 255), dtype=np.float32)


def match_colour(face: RgbImage, target: RgbImage, mask: Mask, strength: float) -> RgbImage:
    """Return the face with its mean and spread inside the mask pulled to the target's by `strength`
    0..1.
    """
    if strength <= 0:
        return face
    weight = _shrunk(mask).reshape(-1, 1)
    total = float(weight.sum())
    if total < 1:
        return face
    own, wanted = (_shrunk(image).reshape(-1, 3).astype(np.float32) for image in (face, target))
    own_mean, wanted_mean = ((pixels * weight).sum(axis=0) / total for pixels in (own, wanted))
    own_spread, wanted_spread = (
        np.sqrt((np.square(pixels - mean) * weight).sum() / total)
        for pixels, mean in ((own, own_mean), (wanted, wanted_mean))
    )
    gain = 1 + strength * (float(np.clip(wanted_spread / max(own_spread, 1e-3), *GAIN_RANGE)) - 1)
    shift = own_mean + strength * (wanted_mean - own_mean) - own_mean * gain
    return np.asarray(cv2.transform(face, np.column_stack([np.eye(3) * gain, shift])))


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


def _shrunk(image: resampling.Pixels) -> resampling.Pixels:
    return np.asarray(cv2.resize(image, (COLOUR_GRID, COLOUR_GRID), interpolation=cv2.INTER_AREA))
