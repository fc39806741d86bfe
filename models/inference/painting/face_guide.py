"""Where the mesh says each part of a face is, drawn for the cover network: cheap, and exact at
lips and lids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Plane
from models.inference.mesh_points import BROWS, EYES, INNER_LIPS, OUTER_LIPS

CHEEKS = (234, 454)
NOSE_ROOT = 168
NOSE_BASE = 2
REACH = 3.0  # in half face widths and nose lengths: farther off nothing matters
SHIFT = 4  # binary digits behind the point in the outlines' coordinates

Array = NDArray[Any]


def face_guide(landmarks: Landmarks, size: int) -> NDArray[np.float32]:
    """Return float32 [5, size, size] for a mesh [468, 2] in pixels of a size x size crop.

    The planes: the face's own coordinates across and down, in -1..1 (0, 0 is the root of the
    nose); its hull; brows and eyes; lips, the opening between them left out (the last three in
    0..1).
    """
    planes = np.empty((5, size, size), np.float32)
    planes[:2] = _coordinates(landmarks, size)
    planes[2] = face_hull(landmarks, size)
    planes[3] = _filled(landmarks, (*BROWS, *EYES), size)
    planes[4] = cv2.subtract(
        _filled(landmarks, (OUTER_LIPS,), size), _filled(landmarks, (INNER_LIPS,), size)
    )
    planes[2:] *= np.float32(1 / 255)

    return planes


def face_hull(landmarks: Landmarks, size: int) -> Plane:
    """Return the mesh's hull, 0 or 255 but for its edge: uint8 [size, size]."""
    hull = np.zeros((size, size), np.uint8)
    outline = cv2.convexHull(np.asarray(landmarks, np.float32))
    cv2.fillConvexPoly(hull, _fixed(outline), 255, cv2.LINE_AA, SHIFT)
    return hull


def _coordinates(landmarks: Landmarks, size: int) -> Array:
    """By an affine frame: across from the middle to a cheek, down along the nose."""
    across = (landmarks[CHEEKS[1]] - landmarks[CHEEKS[0]]) / 2
    down = landmarks[NOSE_BASE] - landmarks[NOSE_ROOT]
    to_face = np.linalg.pinv(np.column_stack([across, down])).astype(np.float32)

    to_face /= np.float32(REACH)
    places = np.arange(size, dtype=np.float32)
    x = np.multiply.outer(to_face[:, 0], places - landmarks[NOSE_ROOT, 0])
    y = np.multiply.outer(to_face[:, 1], places - landmarks[NOSE_ROOT, 1])

    return np.asarray(np.clip(x[:, None] + y[:, :, None], -1, 1))


def _filled(landmarks: Landmarks, outlines: Sequence[tuple[int, ...]], size: int) -> Plane:
    filled = np.zeros((size, size), np.uint8)
    for outline in outlines:
        cv2.fillPoly(filled, [_fixed(landmarks[list(outline)])], 255, cv2.LINE_AA, SHIFT)
    return filled


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << SHIFT)), np.int32)
