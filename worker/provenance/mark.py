"""Draws the mark `lk1` into images and video frames (docs/trust.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.provenance.mark_code import TILE, Chips, MarkTile

Plane: TypeAlias = NDArray[np.uint8]

# The pattern scales with the image, so that a scaled copy still has it.
CHIPS_PER_SHORT_SIDE = 90
# Measured: at 288 px one mark in ten is read back at normal strength, ten in ten at 1.6; below
# 200 px a chip is about two pixels and JPEG removes it at any strength that cannot be seen.
SMALL_BELOW_PX = 480
SMALL_STRENGTH = 1.6
TOO_SMALL_BELOW_PX = 200
# Under 0.625 of its height the pattern rounds to nothing: a fifth less bytes (measured: +16 % of a
# clean video, not +20 %), and every video is still read after x264 crf 28 at half size.
_VIDEO_GAIN = 0.8
# What is added is drawn at a quarter of a megapixel at most, where a chip still has 5 px.
_MAX_DRAWN_PIXELS = 1 << 18
# Levels are bytes in steps of 1/16 about 128 while they are enlarged; the strongest, 7.2, fits.
_FINE = 16
_ZERO = 128
_DECODED = np.rint((np.arange(256) - _ZERO) / _FINE)
_LIGHTER = np.maximum(_DECODED, 0).astype(np.uint8)
_DARKER = np.maximum(-_DECODED, 0).astype(np.uint8)
_BAND_ROWS = 64
# One level of eight bits in sixteen.
_STEP_16_BIT = 257


def is_too_small(height: int, width: int) -> bool:
    """Return whether an image has too few pixels to carry a mark."""
    return min(height, width) < TOO_SMALL_BELOW_PX


@dataclass
class VideoMark:
    """The mark of one segment: the same +-`strength` levels of luma in every frame.

    An adaptive gain costs an encoder more bytes than it gives certainty (measured: +20 to +32 %).
    """

    tile: MarkTile
    strength: int = 1
    _planes: dict[tuple[int, int], tuple[Plane, Plane]] = field(default_factory=dict, init=False)

    def draw(self, luma: Plane) -> None:
        """Add the mark to a luma plane uint8 [H, W], in place; nothing where it is too small."""
        if is_too_small(*luma.shape):
            return

        # Drawn once for a size, then added to every frame.
        if luma.shape not in self._planes:
            self._planes = {luma.shape: self._drawn(*luma.shape)}

        lighter, darker = self._planes[luma.shape]

        # Saturating and in place: black and white stay, and no plane is copied.
        cv2.add(luma, lighter, dst=luma)
        cv2.subtract(luma, darker, dst=luma)

    def _drawn(self, height: int, width: int) -> tuple[Plane, Plane]:
        strength = self.strength * (2 if min(height, width) < SMALL_BELOW_PX else 1)
        levels = np.rint(_pattern(self.tile.shifted, height, width) * strength * _VIDEO_GAIN)
        return np.maximum(levels, 0).astype(np.uint8), np.maximum(-levels, 0).astype(np.uint8)


def draw_in_image(image: NDArray[Any], tile: MarkTile, strength: float = 1.0) -> bool:
    """Add the mark to colour channels uint8 or uint16 [H, W, 3 or 4], in place; alpha stays.

    Detailed regions get more of it than smooth ones. Return False where the image is too small.
    """
    height, width = image.shape[:2]
    if is_too_small(height, width):
        return False
    if min(height, width) < SMALL_BELOW_PX:
        strength *= SMALL_STRENGTH

    small = _small_luma(image)
    levels = _pattern(tile.shifted, *small.shape) * _gain(small) * strength
    # Only what is added is enlarged to full size, as bytes of 1/16 level: the fastest resize.
    coded = np.rint(levels * _FINE + _ZERO).astype(np.uint8)
    delta = cv2.resize(coded, (width, height), interpolation=cv2.INTER_LINEAR)

    # In bands that stay in the processor's cache: a whole 12 MP image takes three times as long.
    for top in range(0, height, _BAND_ROWS):
        band = np.s_[top : top + _BAND_ROWS]
        _add(image[band], delta[band])

    return True


def _add(image: NDArray[Any], coded: Plane) -> None:
    if image.dtype == np.uint16:
        delta = np.rint((coded.astype(np.float32) - _ZERO) / _FINE) * _STEP_16_BIT
        image[..., :3] = np.clip(image[..., :3] + delta[..., None], 0, 65535)
        return

    colours = np.ascontiguousarray(image[..., :3])
    for table, change in ((_LIGHTER, cv2.add), (_DARKER, cv2.subtract)):
        plane = cv2.LUT(coded, table)
        change(colours, cv2.merge([plane, plane, plane]), dst=colours)

    if not np.shares_memory(colours, image):
        image[..., :3] = colours


def _small_luma(image: NDArray[Any]) -> Plane:
    """Return luma at quarter size or less; the order of red and blue hardly matters here."""
    colours = np.ascontiguousarray(image[..., :3])
    height, width = colours.shape[:2]
    shrink = max(4.0, (height * width / _MAX_DRAWN_PIXELS) ** 0.5)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))

    # Only its activity is wanted, so aliasing does no harm; averaging would cost ten times as much.
    small = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_LINEAR))
    if small.dtype == np.uint16:
        small = (small / _STEP_16_BIT).astype(np.uint8)

    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _gain(luma: Plane) -> NDArray[np.float32]:
    """Return levels by local activity: 1.4 on smooth ground, 4.5 in rich texture.

    Least-squares choice over 12 images between PSNR 45 dB and reading after JPEG 30.
    """
    plane = luma.astype(np.float32)
    activity = cv2.blur(np.abs(plane - cv2.blur(plane, (5, 5))), (9, 9))
    return np.asarray(np.clip(0.75 + 0.22 * activity, 0.8, 2.6) * 1.7, np.float32)


def _pattern(chips: Chips, height: int, width: int) -> NDArray[np.float32]:
    """Return the repeated tile float32 [H, W] in -1 to 1, bilinear between chips."""
    chip_px = min(height, width) / CHIPS_PER_SHORT_SIDE
    rows = _places(height, chip_px)
    columns = _places(width, chip_px)
    grid_x, grid_y = np.meshgrid(columns, rows)

    return np.asarray(
        cv2.remap(chips, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32
    )


def _places(length: int, chip_px: float) -> NDArray[np.float32]:
    # Centres of pixels, so that a pattern is in the same place at every size.
    centres = (np.arange(length, dtype=np.float32) + 0.5) / chip_px - 0.5
    return np.asarray(np.mod(centres, TILE), np.float32)
