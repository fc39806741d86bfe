"""Whether an image is still as it was when something was measured of it."""

from __future__ import annotations

import cv2

from models.inference.arrays import Plane, RgbImage


def largest_change(
    now: RgbImage | Plane, before: RgbImage | Plane, blocks: tuple[int, int], where: Plane | None
) -> float:
    """Return by how many levels the block that differs most has changed, 0..255.

    Args:
        now, before: uint8 images of one shape.
        blocks: how many across and down. Each is averaged: a sensor's grain is no change.
        where: 255 where changes count and 0 elsewhere; None for everywhere.
    """
    apart = cv2.absdiff(now, before)
    if where is not None:
        apart = cv2.bitwise_and(apart, cv2.merge([where] * 3))

    return float(cv2.resize(apart, blocks, interpolation=cv2.INTER_AREA).max())
