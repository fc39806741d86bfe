"""An image as the engine works on it: uint8 BGR, written in place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.inference.arrays import Affine, BgrImage, Box, Mask, Plane, RgbImage
from models.inference.frames import resampling


@dataclass(frozen=True)
class ImageFrame:
    """A writable BGR image."""

    image: BgrImage

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    def rgb_crop(self, to_crop: Affine, size: int, *, extend: bool = False) -> RgbImage:
        crop = resampling.sample(self.image, to_crop, size, extend=extend)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))

    def luma_crop(self, to_crop: Affine, size: int) -> Plane:
        crop = self.rgb_crop(to_crop, size, extend=True)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)

    def luma_samples(self) -> Plane:
        step_x = max(1, self.width // 64)
        step_y = max(1, self.height // 36)
        return self.image[::step_y, ::step_x, 1]

    def paste(self, face: RgbImage, mask: Mask, to_crop: Affine) -> Box | None:
        levels = resampling.mask_levels(mask)
        box = resampling.mask_box(levels)
        region = resampling.covered_region(to_crop, box, self.width, self.height) if box else None

        if region is None:
            return None

        # An image is looked at for longer than a frame: the sharper cubic is worth its time.
        swapped = resampling.place(
            cv2.cvtColor(face, cv2.COLOR_RGB2BGR), to_crop, region, cv2.INTER_CUBIC
        )
        resampling.blend(region.of(self.image), swapped, resampling.place(levels, to_crop, region))
        return region.box()
