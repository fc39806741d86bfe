"""Where a portrait's own hair lies over its face: found by colour, for want of drawn labels.

Good enough to teach: what is clear is labelled, what is not is left out of the loss.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, Plane, RgbImage
from models.inference.mesh_points import BROWS, EYES, OUTER_EYE_CORNERS
from models.inference.painting.face_guide import face_hull

Array = NDArray[Any]

SKIN_SPOTS = (50, 280, 117, 346, 4, 6, 195, 9)  # cheeks, nose and the middle of the forehead
SPOT = 0.04  # of the side: their radius
# Hair is darker than the skin by a third of it, or of another hue; shade keeps the hue.
DARKER = 0.33
OTHER_HUE = 0.28
HIGHLIGHT = 1.15  # of the skin's lightness: a shining forehead is bright and grey, like white hair
# A shaded temple is darker too, so hue has to agree. (Dark hair on dark skin thus stays in doubt.)
CLEAR_DARK = 1.2
CLEAR_HUE_ALONE = 1.25
CLEAR_HUE_OF_DARK = 0.55
DOUBTFUL = 0.55
RIM = 0.04  # of the side: hair hangs in from the hull's rim; a spot in the middle is none
BELOW_EYES = 0.06  # of the side: below it, what is dark at the rim may be a beard
BESIDE = 0.09  # of the side: hair beside a cheek is not told from a beard's edge


def label_hair(image: RgbImage, mesh: Landmarks) -> tuple[Plane, Plane]:
    """Return two masks of 0 and 1, uint8 like the image's sides: hair over the face, and where
    that is in doubt.

    `mesh` [468, 2] is in the image's pixels; the image is square.
    """
    size = len(image)
    darker, hue = _unlike_skin(image, mesh)
    inside = face_hull(mesh, size) > 127
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)

    eyes = float(mesh[list(OUTER_EYE_CORNERS), 1].mean())
    upper = np.arange(size)[:, None] < eyes + BELOW_EYES * size
    brows = _brows_and_eyes(mesh, size)

    other = (hue > CLEAR_HUE_ALONE) | ((darker > CLEAR_DARK) & (hue > CLEAR_HUE_OF_DARK))
    other &= upper & ~brows & inside
    clear = cv2.morphologyEx(other.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    hair = _touching(np.asarray(clear, np.uint8), (depth < RIM * size) & inside)

    doubtful = (
        (np.maximum(darker, hue) > DOUBTFUL) & inside & (upper | (depth < BESIDE * size)) & ~brows
    )
    near = cv2.dilate(hair, np.ones((3, 3), np.uint8)) > 0
    fringe_over_brows = brows & (cv2.dilate(hair, np.ones((9, 9), np.uint8)) > 0)
    unsure = (doubtful | near | fringe_over_brows) & (cv2.erode(hair, np.ones((3, 3))) == 0)

    return hair, unsure.astype(np.uint8)


def _unlike_skin(image: RgbImage, mesh: Landmarks) -> tuple[Array, Array]:
    """Return how much darker than the skin each pixel is, and how far its hue is off: 1 is the
    least that hair differs by.
    """
    size = len(image)
    smooth = cv2.GaussianBlur(image, (0, 0), 0.006 * size).astype(np.float32)
    spots = np.zeros((size, size), np.uint8)

    for x, y in np.round(mesh[list(SKIN_SPOTS)]).astype(int):
        cv2.circle(spots, (int(x), int(y)), round(SPOT * size), 1, -1)

    skin = np.median(smooth[spots > 0], axis=0)
    lightness = float(skin @ LUMA)
    luma = smooth @ LUMA
    hue = np.abs(smooth / (luma[..., None] + 8) - skin / (lightness + 8)).sum(2) / OTHER_HUE
    darker = (lightness - luma) / max(lightness, 50) / DARKER

    return darker, np.where(luma > HIGHLIGHT * lightness, 0, hue)


def _brows_and_eyes(mesh: Landmarks, size: int) -> NDArray[np.bool_]:
    drawn = np.zeros((size, size), np.uint8)
    for brow, eye in zip(BROWS, EYES, strict=True):
        outline = cv2.convexHull(np.round(mesh[list(brow + eye)]).astype(np.int32))
        cv2.fillConvexPoly(drawn, outline, 1)
    return cv2.dilate(drawn, np.ones((7, 7), np.uint8)) > 0


def _touching(parts: Plane, rim: NDArray[np.bool_]) -> Plane:
    _, names = cv2.connectedComponents(parts)
    wanted = np.unique(names[rim & (parts > 0)])
    return np.isin(names, wanted[wanted > 0]).astype(np.uint8)
