"""What is measured of a target's face in a video, and for how many frames it holds.

Light, focus and hair are read from small or smoothed images and change slowly, but reading them
costs several times what applying them does. While the crop that follows a face stays as it is they
are read in every third frame; they are applied to every pixel of every frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.frames.change import largest_change
from models.inference.mesh_points import MESH_POINTS
from models.inference.texture.light.relighting import Light
from models.inference.texture.light.skin import hulls_on_grid, on_grid
from models.inference.texture.sharpness import SteadyFocus

Array = NDArray[Any]
T = TypeVar("T")

MOST_HELD = 2  # frames in a row: a tenth of a second of ordinary videos
# Levels by which the mean of a block may differ from what was measured. The strongest edges of
# turning and talking heads change 4 to 8 within three frames; a hand, or light that is switched,
# changes 20 and more.
CALM_LEVELS = 8.0
# Levels by which the face as a whole may get lighter or darker: where light fades, one that is
# measured in every third frame would follow in steps, which are seen as flicker.
EVEN_LEVELS = 0.5
BLOCKS = 14  # a side, 16 px of the crop each: large enough to average a sensor's grain away
AROUND = 5  # cells of the grid: what is about to come in front of the face


@dataclass
class Kept(Generic[T]):
    """Something measured in one frame that holds for the next ones."""

    last: T | None = field(default=None, init=False)

    def of(self, measure: Callable[[], T], *, is_due: bool) -> T:
        """Return what was measured last; anew where that is due."""
        if is_due or self.last is None:
            self.last = measure()
        return self.last


@dataclass
class TargetMeasures:
    """What is known of one target's face: its light on the identity's, its focus, and where its
    own hair and surroundings stay.

    `is_due` says whether this frame is measured, `frames` how many frames ago that was done.
    """

    light: Kept[Light] = field(default_factory=Kept)
    focus: SteadyFocus = field(default_factory=SteadyFocus)
    own: Kept[Mask] = field(default_factory=Kept)
    is_due: bool = field(default=True, init=False)
    frames: int = field(default=1, init=False)
    _seen: Array | None = field(default=None, init=False)
    _near: Array | None = field(default=None, init=False)
    _identity: Landmarks | None = field(default=None, init=False)
    _held: int = field(default=0, init=False)

    def reset(self) -> None:
        """Forget: the track now follows someone else, or in another shot."""
        self._seen = None
        self.focus.reset()

    def begin(self, target: RgbImage, mesh: Landmarks, identity: Landmarks) -> None:
        """Look at the next frame's crop, and decide whether it is measured.

        `mesh` [468, 2] is in the crop's pixels; another `identity` mesh is another face in the
        target's light.
        """
        small = on_grid(target)
        self.frames = self._held + 1
        self.is_due = identity is not self._identity or not self._is_calm(small)
        if not self.is_due:
            self._held += 1
            return

        near = hulls_on_grid(mesh, (range(MESH_POINTS),), grow=AROUND) > 0
        self._near = np.asarray(near.view(np.uint8) * 255, np.uint8)
        self._seen = small
        self._identity = identity
        self._held = 0

    def _is_calm(self, small: Array) -> bool:
        if self._seen is None or self._near is None or self._held == MOST_HELD:
            return False

        lighter = np.subtract(cv2.mean(small, self._near), cv2.mean(self._seen, self._near))
        if float(np.abs(lighter).max()) > EVEN_LEVELS:
            return False

        return largest_change(small, self._seen, (BLOCKS, BLOCKS), self._near) < CALM_LEVELS
