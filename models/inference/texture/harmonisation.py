"""Fits a placed texture to its target: the target's colour, the light that falls on it, and its
sharpness.

All images are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of each pixel that is the
identity's skin.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Mask, RgbImage

COLOUR_GRID = 28
GAIN_RANGE = (0.7, 1.4)
HUE_GAIN_RANGE = (0.0, 1.3)
LIGHT_SHARE = 0.7
LIGHT_SIGMA = 3.5  # of the colour grid: 28 px of the crop
PASTE_LOSS = 1.4  # what pasting back takes from the detail, made up for here: measured on 95 swaps
DETAIL_RANGE = (0.5, 2.5)
MIDDLE = np.s_[48:176, 48:176]  # where detail is looked at: eyes, nose, cheeks and mouth

Array = NDArray[Any]


def harmonised(drawn: RgbImage, target: RgbImage, where: Mask) -> RgbImage:
    """Return the drawn texture in the target's colour, light and sharpness."""
    return _match_detail(_match_colour(drawn, target, where), target, where)


def mean_colour(image: Array, weight: Array) -> Array:
    """Return the weighted mean over all pixels, float32 [channels]."""
    total = float(weight.sum()) + 1e-6
    mean: Array = np.einsum("hwc,hw->c", image, weight, optimize=False) / total
    return np.asarray(mean, np.float32)


def _match_colour(drawn: RgbImage, target: RgbImage, where: Mask) -> RgbImage:
    """Return the drawn texture in the target's colour and light.

    Mean and spread are matched, brightness and hue apart: a grey target must take the colour out.
    Of the difference that remains in the low frequencies, where the light falls from, a share is
    added.
    """
    grid = (COLOUR_GRID, COLOUR_GRID)
    own = cv2.resize(drawn, grid, interpolation=cv2.INTER_AREA).astype(np.float32)
    wanted = cv2.resize(target, grid, interpolation=cv2.INTER_AREA).astype(np.float32)
    weight: Mask = np.asarray(cv2.resize(where, grid, interpolation=cv2.INTER_AREA), np.float32)
    own_mean, wanted_mean = mean_colour(own, weight), mean_colour(wanted, weight)
    change = np.empty((3, 4), np.float32)
    exposure = float(wanted_mean @ LUMA) / max(float(own_mean @ LUMA), 1.0)
    change[:, :3] = _gain(own - own_mean, wanted - wanted_mean, weight, exposure)
    change[:, 3] = wanted_mean - change[:, :3] @ own_mean
    missing = cv2.GaussianBlur(
        (wanted - cv2.transform(own, change)) * weight[..., None], (0, 0), LIGHT_SIGMA
    )
    light = (
        missing * (LIGHT_SHARE / (cv2.GaussianBlur(weight, (0, 0), LIGHT_SIGMA) + 1e-3))[..., None]
    )
    # Whole levels from here on: half a level is not seen, and arrays of bytes cost a quarter.
    falling = cv2.resize(
        light.astype(np.int16), target.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(cv2.add(cv2.transform(drawn, change), falling, dtype=cv2.CV_8U), np.uint8)


def _gain(own: Array, wanted: Array, weight: Mask, exposure: float) -> Array:
    """Return the 3x3 matrix that scales brightness by one factor and hue by another.

    In the dark contrast falls with the light, so that its lower bound does too.
    """
    powers = []
    for centred in (own, wanted):
        grey = centred @ LUMA
        hues = centred - grey[..., None]
        powers.append(
            (mean_colour((grey**2)[..., None], weight)[0], mean_colour(hues**2, weight).sum())
        )
    brightness, hue = (
        np.sqrt(target / (source + 1)) for source, target in zip(*powers, strict=True)
    )
    to_grey = np.tile(LUMA, (3, 1))
    least = GAIN_RANGE[0] * min(1.0, exposure)
    by_brightness = np.clip(brightness, least, GAIN_RANGE[1]) * to_grey
    return np.asarray(
        by_brightness + np.clip(hue, *HUE_GAIN_RANGE) * (np.eye(3) - to_grey), np.float32
    )


def _match_detail(lit: RgbImage, target: RgbImage, where: Mask) -> RgbImage:
    """Return the texture with as much fine detail as the target has: neither sharper than its film
    nor softer.
    """
    skin = (where[MIDDLE] > 0.5).view(np.uint8)
    share = PASTE_LOSS * _detail(target[MIDDLE], skin) / max(_detail(lit[MIDDLE], skin), 0.1)
    more = float(np.clip(share, *DETAIL_RANGE)) - 1
    return np.asarray(cv2.addWeighted(lit, 1 + more, cv2.blur(lit, (3, 3)), -more, 0), np.uint8)


def _detail(image: RgbImage, where: NDArray[np.uint8]) -> float:
    """Return the mean magnitude of what a 3 px box blur takes away."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.mean(cv2.absdiff(grey, cv2.blur(grey, (3, 3))), where)[0])
