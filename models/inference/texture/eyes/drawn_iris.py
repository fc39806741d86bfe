"""A source's iris as it lies on a target's face: drawn where the eye looks, under its lid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import NO_MAP, RgbImage
from models.inference.texture.eyes.eye_window import Lids, Rectangle
from models.inference.texture.eyes.iris import RADIUS_PX, SIDE

Array = NDArray[Any]

FINE = 2  # the iris is 13 px wide in the crop: drawn twice as fine, its edge does not step
EDGE_RADII = 1.03  # where the iris is half drawn: its dark rim lies on the radius
EDGE_WIDTH = 0.1
REACH_RADII = 1.15  # the box that is drawn in
SHADOW = 0.35  # how much darker the iris is right under the upper lid
SHADOW_WIDTH = 0.09  # of the eye's width
# The target's catch light: brighter than what is around it in a part of the iris's size.
LIGHT_SIZE = 0.9  # of the radius
LIGHT_FLOOR = 12.0  # levels
LIGHT_GAIN = 1.2
LIGHT_SEEN = 60.0  # levels from which the target's light is seen well: the photo's is not needed
# a light further out lies on the white
LIGHT_RADII = 0.9
LIGHT_FADE = 0.2


@dataclass(frozen=True)
class DrawnIris:
    """`disc` is the cut-out; a place in it, in radii, lies in the crop at place @ axes + centre."""

    disc: NDArray[np.uint8]
    axes: Array
    centre: Array
    lids: Lids
    size: int

    @cached_property
    def box(self) -> Rectangle:
        """The part of the crop that the iris can reach."""
        half = REACH_RADII * np.linalg.norm(self.axes, axis=0)
        return Rectangle.around(self.centre, half, self.size)

    @cached_property
    def share(self) -> Array:
        """How much of each pixel of the box is iris, float32 [h, w] in 0..1."""
        return self._drawn[..., 3]

    def draw(self, image: RgbImage) -> None:
        """Draw the iris into a crop, in place."""
        patch = image[self.box.slices]
        patch[:] = patch * (1 - self.share[..., None]) + self._drawn[..., :3] + 0.5

    def lights(self, target: RgbImage | None, target_centre: Array, radius: float) -> Array:
        """Return what the box is to be brightened by: the target's catch light or the photo's.

        `target_centre` and `radius` are those of the target's own iris; without a target the light
        is the photo's.
        """
        far = self._far[FINE // 2 :: FINE, FINE // 2 :: FINE]
        within = np.clip((LIGHT_RADII - far) / LIGHT_FADE, 0, 1) * self.share
        own = cv2.resize(self._sampled[..., 3], self.box.size, interpolation=cv2.INTER_AREA)

        if target is None:
            return np.asarray(own * within)

        middle = self.box.middle + target_centre - self.centre
        at = (float(middle[0]), float(middle[1]))
        luma = cv2.cvtColor(cv2.getRectSubPix(target, self.box.size, at), cv2.COLOR_RGB2GRAY)
        side = 2 * int(LIGHT_SIZE * radius / 2) + 3
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        light = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, kernel).astype(np.float32)
        light = LIGHT_GAIN * np.maximum(light - LIGHT_FLOOR, 0) * within
        missing = 1 - min(1.0, float(light.max(initial=0)) / LIGHT_SEEN)

        return np.asarray(light + own * within * missing)

    @cached_property
    def _on_disc(self) -> Array:
        """Each pixel, FINE times as fine, in radii of the iris: float32 [FINE h, FINE w, 2]."""
        return self.box.in_axes(self.centre, np.linalg.inv(self.axes).T, FINE)

    @cached_property
    def _far(self) -> Array:
        return cv2.magnitude(self._on_disc[..., 0], self._on_disc[..., 1])

    @cached_property
    def _sampled(self) -> Array:
        """The disc as it lies in the box, uint8 [FINE h, FINE w, 4]."""
        where = self._on_disc * np.float32(RADIUS_PX) + np.float32(SIDE // 2)
        return cv2.remap(self.disc, where, NO_MAP, cv2.INTER_LINEAR, borderMode=_REPEAT)

    @cached_property
    def _drawn(self) -> Array:
        """The iris's colour times its share of each pixel, and that share, float32 [h, w, 4]."""
        opening = self.lids.opening(self.box, FINE)
        edge = np.clip((EDGE_RADII - self._far) / EDGE_WIDTH + 0.5, 0, 1)
        share = opening * edge
        width = SHADOW_WIDTH * self.lids.axes.width * FINE
        lid = np.roll(cv2.GaussianBlur(opening, (0, 0), width), max(1, round(width / 2)), axis=0)
        shade = 1 - SHADOW * np.clip(2 - 2.2 * lid, 0, 1)
        whole = self._sampled.astype(np.float32)
        whole[..., 3] = 1
        whole[..., :3] *= shade[..., None]
        whole *= share[..., None]

        return np.asarray(cv2.resize(whole, self.box.size, interpolation=cv2.INTER_AREA))


_REPEAT = cv2.BORDER_REPLICATE
