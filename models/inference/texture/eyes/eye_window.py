"""The pixels around one eye, addressed by the eye's own axes and by how far between its lids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.finding.eyes.eye_axes import AROUND, INNER, LOWER, OUTER, UPPER, EyeAxes

Array = NDArray[Any]

REACH = (0.85, 0.6)  # of the eye's width: half the window, which ends before the brow does
# How far from the opening skin moves with the lids: above with the upper one, below with the lower.
LID_REACH = 0.45
UNDER_REACH = 0.3
STEPS = 128  # columns of a lid's curve over the window: a quarter of a pixel each

_AXIS = np.linspace(-REACH[0], REACH[0], STEPS)


@dataclass(frozen=True)
class Rectangle:
    """Whole pixels of an image; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, centre: Array, half: Array, size: int) -> Rectangle:
        """Return what of a box lies in a square image of `size`; it may be empty."""
        left, top = np.clip(np.floor(centre - half), 0, size).astype(int).tolist()
        right, bottom = np.clip(np.ceil(centre + half) + 1, 0, size).astype(int).tolist()
        return cls(left, top, right, bottom)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def middle(self) -> Array:
        return np.array([self.left + self.right - 1, self.top + self.bottom - 1]) / 2

    def in_axes(self, origin: Array, to_own: Array, fine: int = 1) -> Array:
        """Return each pixel as `to_own` [2, 2] takes it: float32 [h, w, 2], `fine` times as many
        each way.
        """
        x, y = (
            (np.arange((end - start) * fine) + 0.5) / fine - 0.5 + start
            for start, end in ((self.left, self.right), (self.top, self.bottom))
        )
        by_x = np.multiply.outer((x - origin[0]).astype(np.float32), to_own[:, 0])
        by_y = np.multiply.outer((y - origin[1]).astype(np.float32), to_own[:, 1])

        return np.asarray(by_y[:, None] + by_x[None], np.float32)


@dataclass(frozen=True)
class Lids:
    """Lids [16, 2] of the eye on one side in an image, in the order of the iris network."""

    points: Array
    side: int

    @cached_property
    def axes(self) -> EyeAxes:
        return EyeAxes.of(self.points[OUTER], self.points[INNER], self.side)

    @cached_property
    def curves(self) -> Array:
        """Height of the upper and the lower lid along the window, float32 [2, STEPS], own axes.

        Past the corners both lie on the line between them.
        """
        own = self.axes.own(self.points)
        upper, lower = (
            np.interp(_AXIS, [-0.5, *_rising(own[lid, 0]), 0.5], [0.0, *own[lid, 1], 0.0])
            for lid in (UPPER, LOWER)
        )
        return np.stack([np.minimum(upper, lower), np.maximum(upper, lower)]).astype(np.float32)

    def opening(self, box: Rectangle, fine: int = 1) -> Array:
        """Return how much of each pixel lies between the lids, float32 in 0..1, `fine` times as
        fine.
        """
        drawn = np.zeros((box.size[1] * fine, box.size[0] * fine), np.uint8)
        outline = (self.points[AROUND] - (box.left, box.top) + 0.5) * fine - 0.5
        cv2.fillPoly(drawn, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)

        return np.multiply(drawn, np.float32(1 / 255), dtype=np.float32)


def _rising(places: Array) -> Array:
    """Points that a poor reading puts out of order are put on one place."""
    return np.clip(np.maximum.accumulate(places), -0.499, 0.499)


@dataclass(frozen=True)
class EyeWindow:
    """The part of a square image in which an eye with these lids is drawn."""

    lids: Lids
    size: int

    @cached_property
    def box(self) -> Rectangle:
        """The part of the image; empty when the eye lies outside."""
        axes = self.lids.axes
        return Rectangle.around(axes.origin, np.abs(axes.linear) @ np.array(REACH), self.size)

    @cached_property
    def own(self) -> Array:
        """Each pixel in the eye's own axes, float32 [h, w, 2]."""
        return self.box.in_axes(self.lids.axes.origin, self.lids.axes.to_own)

    def in_eye(self, other: Lids) -> Array:
        """Return where each pixel lies in another eye's image, float32 [h, w, 2].

        The place along the axis and the share between the lids are kept; skin follows its lid.
        """
        table = np.concatenate([self.lids.curves, other.curves]).T[self._column]
        upper, lower, new_upper, new_lower = cv2.split(table)
        v = self.own[..., 1]
        top = new_upper - LID_REACH
        bottom = new_lower + UNDER_REACH
        above = top + (v - top) * (LID_REACH / np.maximum(upper - top, 0.02))
        below = bottom - (bottom - v) * (UNDER_REACH / np.maximum(bottom - lower, 0.02))
        between = new_upper + (v - upper) * (
            (new_lower - new_upper) / np.maximum(lower - upper, 0.01)
        )
        moved = np.where(v < upper, above, np.where(v > lower, below, between))
        moved = np.where((v < top) | (v > bottom), v, moved)
        x = other.axes.linear.astype(np.float32)
        y = other.axes.origin.astype(np.float32)
        own = np.dstack([self.own[..., 0], moved])

        return np.asarray(cv2.transform(own, np.column_stack([x, y])))

    def depth(self) -> Array:
        """Return how far inside the nearer lid each pixel lies, in pixels, negative on skin."""
        upper, lower = (curve[self._column] for curve in self.lids.curves)
        v = self.own[..., 1]
        return np.asarray(np.minimum(v - upper, lower - v) * np.float32(self.lids.axes.width))

    def under_lid(self, width: float) -> Array:
        """Return how near under the upper lid each pixel lies: 1 at it, a third `width` lower."""
        below = np.maximum(self.own[..., 1] - self.lids.curves[0][self._column], 0)
        return np.asarray(np.exp(below * np.float32(-1 / width)))

    @cached_property
    def _column(self) -> NDArray[np.intp]:
        steps = (self.own[..., 0] + REACH[0]) * ((STEPS - 1) / (2 * REACH[0]))
        return np.clip(np.rint(steps), 0, STEPS - 1).astype(np.intp)
