"""What tracking and swapping need of a frame, whether of an image or of a video."""

from __future__ import annotations

from typing import Protocol

from models.inference.arrays import Affine, Box, Mask, Plane, RgbImage


class Frame(Protocol):
    """A frame that gives crops to networks and takes a swapped face back, in place."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def rgb_crop(self, to_crop: Affine, size: int, *, extend: bool = False) -> RgbImage:
        """Return the size x size RGB crop that `to_crop` maps the frame to.

        Past the frame 0, or its edge extended.
        """
        ...

    def luma_crop(self, to_crop: Affine, size: int) -> Plane:
        """Return the luma of such a crop, 0..255; past the frame its edge goes on."""
        ...

    def luma_samples(self) -> Plane:
        """Return about 64 x 36 luma values from all over the frame: enough to notice a scene
        cut.
        """
        ...

    def paste(self, face: RgbImage, mask: Mask, to_crop: Affine) -> Box | None:
        """Blend a crop into the frame by `mask`.

        Returns the box outside which nothing was written.
        """
        ...
