"""Makes a placed texture as sharp, as soft and as grainy as the video or image it is put on."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask, RgbImage

MIDDLE = np.s_[48:176, 48:176]  # where detail is looked at: eyes, nose, cheeks and mouth
PASTE_LOSS = 1.4  # what pasting back takes from the detail, made up for here: measured on 95 swaps
MOST_SHARPER = 2.2  # more would only sharpen the photo's own noise
MOST_LEVELS = 14.0  # that sharpening adds: at the edge of a dark lip or brow more shows as a line
SOFTER_FROM = 0.9  # of the detail: below, the texture is blurred
BLURS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # px of the crop, the widest for faces out of focus
GRAIN_SPREADS = 3.0  # what is stronger is an edge and no grain
LEAST_GRAIN = 0.3  # levels: below, there is none to give

Array = NDArray[Any]


def as_sharp(lit: RgbImage, target: RgbImage, where: Mask) -> RgbImage:
    """Return a face with as much fine detail as the target has, and with the target's grain.

    Both are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of a pixel that is the
    face's.
    """
    skin = (where[MIDDLE] > 0.5).view(np.uint8)
    wanted = PASTE_LOSS * _detail(_grey(target[MIDDLE]), skin)
    grey = _grey(lit[MIDDLE])
    share = wanted / max(_detail(grey, skin), 0.1)
    matched = _sharpened(lit, share) if share > SOFTER_FROM else _blurred(lit, grey, skin, wanted)

    return _with_grain(matched, target, skin)


def _sharpened(lit: RgbImage, share: float) -> RgbImage:
    more = min(share, MOST_SHARPER) - 1
    if abs(more) < 0.02:
        return lit

    fine = cv2.subtract(lit, cv2.blur(lit, (3, 3)), dtype=cv2.CV_16S)
    added = np.clip(fine * np.float32(more), -MOST_LEVELS, MOST_LEVELS).astype(np.int16)
    return np.asarray(cv2.add(lit, added, dtype=cv2.CV_8U), np.uint8)


def _blurred(lit: RgbImage, grey: Array, skin: NDArray[np.uint8], wanted: float) -> RgbImage:
    """Return the face under the least blur that leaves no more detail than is wanted."""
    for sigma in BLURS:
        if _detail(cv2.GaussianBlur(grey, (0, 0), sigma), skin) <= wanted:
            break
    return np.asarray(cv2.GaussianBlur(lit, (0, 0), sigma), np.uint8)


def _with_grain(face: RgbImage, target: RgbImage, skin: NDArray[np.uint8]) -> RgbImage:
    """Return the face with the target's own grain where the target has more than it.

    Grain is what a small blur takes away on even skin. The target's own has its video's size,
    strength and change from frame to frame, which made noise would have to copy.
    """
    strength = _grain_strength(target, skin)
    own = _grain_strength(face, skin)

    if strength < LEAST_GRAIN or own >= strength:
        return face

    share = float(np.sqrt(1 - (own / strength) ** 2))
    most = GRAIN_SPREADS * 1.48 * strength
    grain = _residual(target)
    even = np.where(np.abs(grain) < most, grain * share, 0).astype(np.int16)

    return np.asarray(cv2.add(face, cv2.merge([even, even, even]), dtype=cv2.CV_8U), np.uint8)


def _grain_strength(image: RgbImage, skin: NDArray[np.uint8]) -> float:
    inner = _residual(image[MIDDLE])[skin > 0]
    return float(np.median(np.abs(inner))) if len(inner) else 0.0


def _residual(image: RgbImage) -> Array:
    grey = _grey(image)
    return np.asarray(cv2.subtract(grey, cv2.blur(grey, (3, 3)), dtype=cv2.CV_32F))


def _grey(image: RgbImage) -> Array:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _detail(grey: Array, where: NDArray[np.uint8]) -> float:
    """Return the mean magnitude of what a 3 px box blur takes away."""
    return float(cv2.mean(cv2.absdiff(grey, cv2.blur(grey, (3, 3))), where)[0])
