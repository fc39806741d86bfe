"""What a photo shows of a face that a 224 px texture cannot hold, for faces larger than that.

The network works at 224 px. A close-up shows the face at two or three times that size, so its
result is enlarged and the photo's finer band is put on it: pores, stubble, single hairs. The band
is a factor on luma, one byte a texel, as strong as the target's own band.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask, Plane, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE

NONE = 128  # the byte that changes nothing
PER_LOG = 512.0  # bytes a unit of log luma: the strongest byte is a factor of 1.28
FLOOR = 8.0  # levels: keeps the logarithm of the dark apart from noise
# A face in the frame is this many times as large as the network's crop; a crop twice or three
# times as large is then painted.
TWICE_FROM = 1.3
THRICE_FROM = 2.4
MOST_GAIN = 2.5  # of the target's band over the photo's own: more would only raise its noise
OUT_OF_FOCUS = (
    1.15  # an enlarged face with more of the band than so many times the target's is blurred
)
BLURS = (0.6, 0.8, 1.1, 1.5, 2.0)  # px: what is softer than the last has been made so at 224 px
FILLED_LEVELS = 5.0  # what cleaning changed by as much is no longer the photo's

Array = NDArray[Any]


def band_of(texture: RgbImage, trusted: Mask) -> Plane:
    """Return what a texture of k x 224 px has above 224 px, uint8 [k * 224, k * 224].

    `trusted` (0..1, 224 px) is where the texture is the photo's own: elsewhere there is no detail,
    or stubble would come back as dots on filled skin.
    """
    level = np.log(cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32) + FLOOR)
    size = level.shape[::-1]
    small = (TEMPLATE_SIZE, TEMPLATE_SIZE)
    coarse = cv2.resize(level, small, interpolation=cv2.INTER_AREA)
    low = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    share = cv2.resize(trusted, size, interpolation=cv2.INTER_LINEAR)
    levels = (level - low) * share * PER_LOG + NONE + 0.5

    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def unchanged(before: RgbImage, after: RgbImage) -> Mask:
    """Return where cleaning left a texture as the photo shows it, float32 [224, 224] in 0..1."""
    change = np.abs(before.astype(np.float32) - after).max(axis=2)
    changed = cv2.dilate((change > FILLED_LEVELS).astype(np.float32), np.ones((5, 5), np.uint8))
    return np.asarray(1 - cv2.GaussianBlur(changed, (0, 0), 1.5), np.float32)


def crop_factor(frame_scale: float) -> int:
    """Return how many times 224 px a face is painted at that is `frame_scale` crops large."""
    if frame_scale > THRICE_FROM:
        return 3
    return 2 if frame_scale > TWICE_FROM else 1


def with_detail(
    face: RgbImage, band: Plane, where: Array, target: RgbImage, mouth: Mask
) -> RgbImage:
    """Return a swapped crop enlarged to the target's size, with the photo's fine band on it.

    Args:
        face: uint8 [224, 224, 3] RGB.
        band: what `band_of` returned.
        where: float32 [224, 224, 2], the texel of a 224 px texture that each pixel shows.
        target: uint8 [k * 224, k * 224, 3] RGB, the target's crop at the size to paint.
        mouth: float32 [224, 224] in 0..1: its opening, which is the target's own.
    """
    size = (target.shape[1], target.shape[0])
    texels = band.shape[0] / TEMPLATE_SIZE
    scaled = where * np.float32(texels) + np.float32((texels - 1) / 2)
    at = cv2.resize(scaled, size, interpolation=cv2.INTER_LINEAR)
    fine = cv2.remap(
        band, at, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=[NONE]
    )
    large = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    wanted = _band_levels(target)
    has = _band_levels(large)

    if has > OUT_OF_FOCUS * wanted:
        painted = _softened(large, wanted)
    else:
        gain = _gain(fine, large, float(np.sqrt(max(0.0, wanted**2 - has**2))))
        factors = np.exp((np.arange(256) - NONE) / PER_LOG * gain).astype(np.float32)
        factor = cv2.LUT(fine, factors)
        factor = cv2.merge([factor, factor, factor])
        painted = np.asarray(cv2.multiply(large, factor, dtype=cv2.CV_8U), np.uint8)

    inside = cv2.resize(mouth, size, interpolation=cv2.INTER_LINEAR)

    return np.asarray(cv2.blendLinear(target, painted, inside, 1 - inside), np.uint8)


def _gain(fine: Array, large: RgbImage, wanted: float) -> float:
    """Return how many times stronger than the photo's own band is to be, in the face's middle."""
    middle = _middle(fine)
    luma = cv2.cvtColor(large[middle], cv2.COLOR_RGB2GRAY).astype(np.float32)
    own = float((np.abs(fine[middle].astype(np.float32) - NONE) * luma).mean()) / PER_LOG

    return min(wanted / max(own, 0.05), MOST_GAIN)


def _softened(large: RgbImage, wanted: float) -> RgbImage:
    """Return an enlarged face with no more of the band than is wanted: a target out of focus."""
    for sigma in BLURS:
        soft = np.asarray(cv2.GaussianBlur(large, (0, 0), sigma), np.uint8)
        if _band_levels(soft) <= wanted:
            break

    return soft


def _band_levels(image: RgbImage) -> float:
    """Return the mean magnitude of what a painted crop's middle has above 224 px."""
    factor = image.shape[0] // TEMPLATE_SIZE
    grey = cv2.cvtColor(image[_middle(image)], cv2.COLOR_RGB2GRAY)
    size = grey.shape[::-1]
    small = (size[0] // factor, size[1] // factor)
    coarse = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    low = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)

    return float(cv2.mean(cv2.absdiff(grey, low))[0])


def _middle(image: Array) -> tuple[slice, slice]:
    quarter = image.shape[0] // 4
    return np.s_[quarter : 3 * quarter, quarter : 3 * quarter]


_NO_MAP = np.empty(0, np.float32)  # cv2.remap takes both maps as one
