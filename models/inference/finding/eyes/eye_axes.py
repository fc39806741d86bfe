"""An eye's own axes: where lids and iris lie in it, whatever the head does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OUTER = 0
INNER = 8
# a lower point lies under the upper one of its rank
LOWER = slice(1, 8)
UPPER = slice(9, 16)
AROUND = [*range(9), *range(15, 8, -1)]  # the lids' points as one closed outline


@dataclass(frozen=True)
class EyeAxes:
    """Origin between the corners, x from the outer to the inner one, y down the face; the unit is
    the eye's width.

    `linear` is float64 [2, 2]: image = linear @ own + origin.
    """

    origin: Array
    linear: Array

    @classmethod
    def of(cls, outer: Array, inner: Array, side: int) -> EyeAxes:
        """Return the axes of an eye with these corners; `side` is 0 for the viewer's left eye of an
        upright face, 1 for the right one.
        """
        x, y = (inner.astype(np.float64) - outer).tolist()
        # Down the face, which may itself stand on its head.
        turn = 1.0 if side == 0 else -1.0
        return cls((outer + inner) / 2, np.array([[x, -turn * y], [y, turn * x]]))

    @cached_property
    def width(self) -> float:
        """The distance between the corners in pixels of the image."""
        return float(np.hypot(self.linear[0, 0], self.linear[1, 0]))

    @cached_property
    def to_own(self) -> Array:
        """The inverse of `linear`: its columns are square to each other and equally long."""
        return self.linear.T / max(self.width, 1e-6) ** 2

    def own(self, points: Array) -> Array:
        """Return points of the image [..., 2] in the eye's axes."""
        return np.asarray((points - self.origin) @ self.to_own.T)

    def image(self, own: Array) -> Array:
        """Return points of the eye's axes [..., 2] in the image."""
        return np.asarray(own @ self.linear.T + self.origin)
