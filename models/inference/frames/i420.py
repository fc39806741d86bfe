"""Video frames as they come from the decoder: three planes, half-size chroma, written in place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from models.inference.arrays import Affine, Box, Mask, Plane, RgbImage
from models.inference.frames import resampling
from models.inference.frames.affine import compose

Matrix = Literal["bt601", "bt709"]

LUMA_WEIGHTS = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
}  # red and blue; ITU-R BT.601 and BT.709
BLACK = 16  # of a limited range
# Chroma of H.264 and HEVC lies on the left luma column, between two rows.
CHROMA_TO_LUMA: Affine = np.array([[2.0, 0, 0], [0, 2.0, 0.5]])


@dataclass(frozen=True)
class I420Frame:
    """Writable views of one 8-bit YUV 4:2:0 frame: `y` [H, W], `u` and `v` [ceil(H/2),
    ceil(W/2)].
    """

    y: Plane
    u: Plane
    v: Plane
    matrix: Matrix = "bt709"
    full_range: bool = False

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    def rgb_crop(self, to_crop: Affine, size: int, *, extend: bool = False) -> RgbImage:
        from_chroma = compose(to_crop, CHROMA_TO_LUMA)
        black = 0 if self.full_range else BLACK
        planes = [resampling.sample(self.y, to_crop, size, extend=extend, outside=black)]
        planes += [
            resampling.sample(p, from_chroma, size, extend=extend, outside=128)
            for p in (self.u, self.v)
        ]

        return np.asarray(
            cv2.transform(cv2.merge(planes), yuv_to_rgb(self.matrix, self.full_range))
        )

    def luma_crop(self, to_crop: Affine, size: int) -> Plane:
        crop = resampling.sample(self.y, to_crop, size, extend=True)
        if self.full_range:
            return np.asarray(crop, np.uint8)

        # From 16..235; what is blacker than black is black.
        above = np.maximum(crop, BLACK) - BLACK
        return np.asarray(cv2.convertScaleAbs(above, alpha=255 / 219), np.uint8)

    def luma_samples(self) -> Plane:
        step_x = max(1, self.width // 64)
        step_y = max(1, self.height // 36)
        return self.y[::step_y, ::step_x]

    def paste(self, face: RgbImage, mask: Mask, to_crop: Affine) -> Box | None:
        levels = resampling.mask_levels(mask)
        box = resampling.mask_box(levels)
        region = (
            resampling.covered_region(to_crop, box, self.width, self.height, multiple=2)
            if box
            else None
        )

        if region is None:
            return None

        luma, *chroma = cv2.split(cv2.transform(face, rgb_to_yuv(self.matrix, self.full_range)))
        resampling.blend(
            region.of(self.y),
            resampling.place(luma, to_crop, region),
            resampling.place(levels, to_crop, region),
        )

        # One by one: merging and splitting them costs more than sampling two planes at once gains.
        halved = region.halved()
        from_chroma = compose(to_crop, CHROMA_TO_LUMA)
        placed = resampling.place(levels, from_chroma, halved)
        for plane, swapped in zip((self.u, self.v), chroma, strict=True):
            resampling.blend(
                halved.of(plane), resampling.place(swapped, from_chroma, halved), placed
            )

        return region.box()


@lru_cache
def rgb_to_yuv(matrix: Matrix, full_range: bool) -> Affine:
    """Return the float64 [3, 4] that takes RGB bytes to YUV bytes."""
    red, blue = LUMA_WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    rows = np.stack(
        [
            luma,
            (np.array([0, 0, 1]) - luma) / (2 - 2 * blue),
            (np.array([1, 0, 0]) - luma) / (2 - 2 * red),
        ]
    )

    gain = np.ones(3) if full_range else np.array([219, 224, 224]) / 255
    return np.column_stack([rows * gain[:, None], [0 if full_range else 16, 128, 128]])


@lru_cache
def yuv_to_rgb(matrix: Matrix, full_range: bool) -> Affine:
    """Return the float64 [3, 4] that takes YUV bytes to RGB bytes."""
    forward = rgb_to_yuv(matrix, full_range)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])
