"""The rim of a face's texture, made fit to be shown: what a photo has there is often hair, ear or wall."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage

RIM_PX = 4.0  # of 224: the mesh's outline is this far off, so that the rim is never sure to be skin
DOUBTFUL_PX = 26.0  # how far in from the outline a stranger's colour is looked for
SKIN_SIGMA = 16.0
FILL_SIGMA = 5.0
SEAM_SIGMA = 1.5
# What is behind a face is greyer than the skin nearby, or brighter. Darker is shade and hair: they belong to it.
GREYER_LEVELS = 18.0  # of red over green, where skin has 25 to 45
BRIGHTER_LEVELS = 35.0
DARKER_LEVELS = 25.0
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Pixels = NDArray[Any]


def cleaned(texture: RgbImage, mesh: Landmarks) -> RgbImage:
    """Return a canonical texture whose rim is skin, and goes on outwards as skin.

    `mesh` is the canonical mesh in the texture's pixels. Near its outline, texels that are not of the colour of the
    skin further in but of what is behind it, and all that is outside, take the colour of what is good nearby.
    """
    inside = np.zeros(texture.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(mesh).astype(np.int32)), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    sure = depth > DOUBTFUL_PX
    skin = _carried(texture, sure.astype(np.float32), SKIN_SIGMA)
    bad = (
        cv2.dilate((_is_behind(texture - skin) & ~sure).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        & ~sure
    )
    good = ((depth > RIM_PX) & ~bad).astype(np.float32)
    near = cv2.GaussianBlur(good, (0, 0), FILL_SIGMA)[..., None]
    reach = np.clip(near * 20, 0, 1)  # where nothing good is near, the carried skin has to do
    fill = _carried(texture, good, FILL_SIGMA) * reach + skin * (1 - reach)
    kept = cv2.GaussianBlur(cv2.erode(good, np.ones((3, 3), np.uint8)), (0, 0), SEAM_SIGMA)[..., None]
    return np.asarray(np.clip(texture * kept + fill * (1 - kept) + 0.5, 0, 255), np.uint8)


def _is_behind(change: Pixels) -> NDArray[np.bool_]:
    luma, red = change @ LUMA, change[..., 0] - change[..., 1]
    return np.asarray((luma > BRIGHTER_LEVELS) | ((red < -GREYER_LEVELS) & (luma > -DARKER_LEVELS)), bool)


def _carried(texture: RgbImage, weight: Pixels, sigma: float) -> Pixels:
    """Blur a texture by what has weight alone: its colour is carried to where there is none."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(texture * weight[..., None], (0, 0), sigma) / (total + 1e-6))
