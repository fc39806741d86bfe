"""What was in front of one person's face in the frames before: it steadies the verdict, and holds
where nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Plane, RgbImage
from models.inference.frames.change import largest_change

HOLD = 0.4  # share of the last frame's answer, so that what is at the limit does not come and go
# Where no part of a face and its surroundings has changed by as many levels since the network saw
# it, its last answer holds: it then differs by .1 in its worst pixel, and a hand's edge changes 20
# and more. For a tenth of a second of ordinary videos, and no longer.
CALM_LEVELS = 4.0
# Where nothing was in front, ordinary motion, 4 to 8 levels within three frames, is no reason to
# ask: of 1,389 frames of 22 videos the same ones are covered as when each is asked.
OPEN_LEVELS = 8.0
MOST_KEPT = 3
BLOCKS = 14  # a side, 16 px of the crop each: large enough to average a sensor's grain away
AROUND = np.ones((9, 9), np.uint8)

Array = NDArray[Any]


@dataclass
class OcclusionMemory:
    """How likely each pixel of one person's face was covered in the last frame, in the crop that
    follows it; nothing at first and after a cut. `is_open` says that nothing was in front.
    """

    likely: Array | None = field(default=None, init=False)
    is_open: bool = field(default=False, init=False)
    _seen: RgbImage | None = field(default=None, init=False)
    _kept_frames: int = field(default=0, init=False)

    def reset(self) -> None:
        """Forget: in another shot something else is in front."""
        self.likely = None
        self.is_open = False
        self._seen = None
        self._kept_frames = 0

    def kept(self, small: RgbImage, hull: Plane) -> Array | None:
        """Return the last answer where it holds for this frame too, for a few frames in a row.

        `small` is the crop and `hull` the face's in it, both at 112 px.
        """
        if self._seen is None or self._kept_frames == MOST_KEPT:
            return None

        near = np.asarray(cv2.dilate(hull, AROUND), np.uint8)
        changed = largest_change(small, self._seen, (BLOCKS, BLOCKS), near)
        if changed >= (OPEN_LEVELS if self.is_open else CALM_LEVELS):
            return None

        self._kept_frames += 1
        return self.likely

    def steadied(self, likely: Array, small: RgbImage) -> Array:
        """Return this frame's answer leaning on the one before, and remember it."""
        if self.likely is not None:
            likely = likely + np.float32(HOLD) * (self.likely - likely)
        self.likely = likely
        self._seen = small
        self._kept_frames = 0
        return likely
