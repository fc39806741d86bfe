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

from models.inference.arrays import NO_MAP, Mask, Plane, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.frames.resampling import Region
from models.inference.native.kernels import kernels

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
# Of the 224 px crop: here face and target are compared, for it is all face.
MIDDLE = Region(56, 56, 168, 168)

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


def with_detail(face: RgbImage, band: Plane, where: Array, middle: Plane, box: Region) -> RgbImage:
    """Return a part of a swapped crop enlarged to the target's size, with the photo's fine band.

    Args:
        face: uint8 [224, 224, 3] RGB.
        band: what `band_of` returned.
        where: float32 [224, 224, 2], the texel of a 224 px texture that each pixel shows.
        middle: uint8 [k * 112, k * 112], the target's luma in `MIDDLE` at the size to paint.
        box: the part to be painted, in pixels of the crop; it holds `MIDDLE`.
    """
    factor = middle.shape[0] // MIDDLE.size[0]
    size = (factor * box.size[0], factor * box.size[1])
    fine = _fine(band, box.of(where), factor)
    large = np.asarray(cv2.resize(box.of(face), size, interpolation=cv2.INTER_CUBIC), np.uint8)
    compared = MIDDLE.within(box).enlarged(factor)
    wanted = _band_levels(middle, factor)
    has = _band_levels(_grey(compared.of(large)), factor)

    if has > OUT_OF_FOCUS * wanted:
        return _softened(large, wanted, compared, factor)

    missing = float(np.sqrt(max(0.0, wanted**2 - has**2)))
    gain = _gain(compared.of(fine), compared.of(large), missing)
    factors = np.exp((np.arange(256) - NONE) / PER_LOG * gain).astype(np.float32)
    native = kernels()
    if native is not None:
        native.times_band(large, fine, factors)
        return large

    by = cv2.LUT(fine, factors)
    return np.asarray(cv2.multiply(large, cv2.merge([by, by, by]), dtype=cv2.CV_8U), np.uint8)


def _fine(band: Plane, where: Array, factor: int) -> Plane:
    """Return the band as it lies in a part of the crop, enlarged."""
    texels = band.shape[0] // TEMPLATE_SIZE
    native = kernels()
    if native is not None:
        return native.band_at(band, where, factor, texels, outside=NONE)

    size = (factor * where.shape[1], factor * where.shape[0])
    scaled = where * np.float32(texels) + np.float32((texels - 1) / 2)
    at = cv2.resize(scaled, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        cv2.remap(
            band, at, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=[NONE]
        ),
        np.uint8,
    )


def _gain(fine: Array, large: Array, wanted: float) -> float:
    """Return how many times stronger than the photo's own band is to be, in the face's middle."""
    levels = cv2.multiply(
        cv2.absdiff(fine, np.full_like(fine, NONE)), _grey(large), dtype=cv2.CV_16U
    )
    own = float(cv2.mean(levels)[0]) / PER_LOG

    return min(wanted / max(own, 0.05), MOST_GAIN)


def _softened(large: RgbImage, wanted: float, compared: Region, factor: int) -> RgbImage:
    """Return an enlarged face with no more of the band than is wanted: a target out of focus."""
    for sigma in BLURS:
        soft = np.asarray(cv2.GaussianBlur(large, (0, 0), sigma), np.uint8)
        if _band_levels(_grey(compared.of(soft)), factor) <= wanted:
            break

    return soft


def _grey(image: Array) -> Array:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _band_levels(grey: Array, factor: int) -> float:
    """Return the mean magnitude of what the luma of a painted crop's middle has above 224 px."""
    size = grey.shape[::-1]
    small = (size[0] // factor, size[1] // factor)
    coarse = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    low = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)

    return float(cv2.mean(cv2.absdiff(grey, low))[0])
