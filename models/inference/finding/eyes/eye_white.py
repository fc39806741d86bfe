"""The white of an eye: what of it shows, and in which colour the light makes it appear."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, RgbImage, percentile
from models.inference.finding.eyes.eye_axes import AROUND

Array = NDArray[Any]

IRIS_RADII = 1.2  # from the iris's centre: further out its dark rim has ended
MOST_CHROMA = 0.22  # of its brightness: what is more coloured is lid
LEAST_COUNT = 8  # pixels: fewer say nothing
BRIGHT_FROM = 60  # percentile: shade and lashes darken the rest


def white_colour(pixels: Array) -> Array | None:
    """Return the colour of the pixels [n, 3] that are white of an eye, or None of too few."""
    if len(pixels) < LEAST_COUNT:
        return None

    luma = pixels @ LUMA
    pale = np.ptp(pixels, axis=1) < MOST_CHROMA * (luma + 20)

    if np.count_nonzero(pale) < LEAST_COUNT:
        return None

    bright = pale & (luma >= percentile(luma[pale, None], BRIGHT_FROM))
    return np.asarray(pixels[bright].mean(axis=0), np.float32)


def white_of_eye(image: RgbImage, lids: Array, iris: Array, radius: float) -> Array | None:
    """Return the colour of the white between lids [16, 2] and around an iris, float32 [3]."""
    drawn = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(drawn, [np.rint(lids[AROUND] * 16).astype(np.int32)], 1, shift=4)
    inside = cv2.erode(drawn, np.ones((3, 3), np.uint8))
    reach = max(1, round(16 * radius * IRIS_RADII))
    centre = (round(16 * float(iris[0])), round(16 * float(iris[1])))
    cv2.circle(inside, centre, reach, 0, -1, shift=4)

    return white_colour(image[inside > 0].astype(np.float32))
