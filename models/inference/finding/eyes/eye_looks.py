"""Which frames of a video the iris network looks at: every second or third one while the eyes are
calm.

Where an eye's pixels are as they were at the last look, so is what is read of them. Else a frame is
written after later ones have been seen, so its eyes can lie between those of the frame before and
of the frame after. In a blink or a glance every frame is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Plane
from models.inference.finding.eyes.eye_axes import INNER, OUTER, EyeAxes
from models.inference.finding.eyes.iris_network import (
    INPUT_SIZE,
    LIDS,
    Eye,
    EyePair,
    IrisNetwork,
    eye_crop,
)
from models.inference.finding.landmark_filter import TimedLandmarks
from models.inference.frames.change import largest_change
from models.inference.frames.frame import Frame

MOST_APART_S = 0.085  # two frames of the slowest common video; a blink takes 0.1 s and more
# Between the two looks, in widths of the eye: twice the reading's noise, a third of what the
# fastest lids and glances move in a frame.
MOST_CLOSING = 0.03
MOST_GLANCE = 0.04
# Both eyes' crops in luma, compared in blocks: a third of an eye's width each, so that a sensor's
# grain is averaged away. A glance of MOST_GLANCE changes a block at the iris's edge by 8 levels, a
# lid on its way by 20 and more.
GLIMPSE_PX = 32
BLOCKS = 8
MOST_CHANGED = 5.0
LID_MOVED = 15.0  # of a lid on its way or shut, whatever the looks before and after say
MOST_KEPT = 2  # frames in a row


@dataclass(frozen=True)
class EyeSight(TimedLandmarks):
    """A frame with a face in it: where its eyes can be looked at. `landmarks` are the frame's
    own.
    """

    frame: Frame

    def glimpse(self) -> Plane:
        """Return both eyes in luma, side by side: uint8 [32, 64]."""
        smaller = GLIMPSE_PX / INPUT_SIZE
        return np.hstack(
            [
                self.frame.luma_crop(eye_crop(self.landmarks, side) * smaller, GLIMPSE_PX)
                for side in (0, 1)
            ]
        )


@dataclass
class EyeLooks:
    """Reads the eyes of one face, frame by frame."""

    _before: tuple[EyeSight, EyePair] | None = field(default=None, init=False)
    _ahead: tuple[EyeSight, EyePair] | None = field(default=None, init=False)
    _is_calm: bool = field(default=False, init=False)
    _glimpse: Plane | None = field(default=None, init=False)
    _kept: int = field(default=0, init=False)

    def reset(self) -> None:
        """Forget: the next frame shows another shot or another place."""
        self._before = None
        self._ahead = None
        self._is_calm = False

    def see(self, iris: IrisNetwork, now: EyeSight, after: EyeSight | None) -> EyePair:
        """Return the eyes of a frame; `after` is the same face one frame later, where it was seen
        already.
        """
        if self._ahead is not None and self._ahead[0].time_s == now.time_s:
            return self._looked(now, self._ahead[1])

        changed = self._changed(now)
        if changed < MOST_CHANGED and self._kept < MOST_KEPT:
            return self._kept_as_they_were(now)

        # An eye that is shut in this frame alone lies between two looks at open ones.
        between = self._between(iris, now, after) if changed < LID_MOVED else None
        if between is not None:
            return between

        return self._looked(now, iris.look(now.frame, now.landmarks))

    def _looked(self, now: EyeSight, eyes: EyePair) -> EyePair:
        # On both flanks of a blink lids are equally low: what was not calm just now is not passed.
        self._is_calm = self._before is not None and _are_alike(self._before[1], eyes)
        self._before = (now, eyes)
        # Now: the frame is painted in place before the next one is asked about.
        self._glimpse = now.glimpse()
        self._kept = 0
        return eyes

    def _changed(self, now: EyeSight) -> float:
        """Return by how many levels a block of either eye differs from the last look, infinite
        where that was too long ago or the eyes were moving.
        """
        before = self._before
        if before is None or self._glimpse is None or not self._is_calm:
            return math.inf
        if now.time_s - before[0].time_s > MOST_APART_S:
            return math.inf

        return largest_change(now.glimpse(), self._glimpse, (2 * BLOCKS, BLOCKS), where=None)

    def _kept_as_they_were(self, now: EyeSight) -> EyePair:
        """Return the eyes of the last look as they lie in a frame that shows them as it did."""
        assert self._before is not None  # noqa: S101 - what has changed is measured from it
        sight, eyes = self._before
        self._kept += 1
        left, right = (_mixed((sight, eye), (sight, eye), now.landmarks, 0.0) for eye in eyes)
        return left, right

    def _between(self, iris: IrisNetwork, now: EyeSight, after: EyeSight | None) -> EyePair | None:
        """Return the eyes as they move from the last look to the next one, None where they do
        more than that.
        """
        before = self._before
        if before is None or after is None or not self._is_calm:
            return None
        if after.time_s - before[0].time_s > MOST_APART_S:
            return None

        then = iris.look(after.frame, after.landmarks)
        self._ahead = (after, then)
        if not _are_alike(before[1], then):
            return None

        share = (now.time_s - before[0].time_s) / (after.time_s - before[0].time_s)
        left, right = (
            _mixed((before[0], before[1][side]), (after, then[side]), now.landmarks, share)
            for side in (0, 1)
        )
        return left, right


def _are_alike(before: EyePair, after: EyePair) -> bool:
    return all(
        abs(then.opening - now.opening) < MOST_CLOSING
        and float(np.linalg.norm(then.gaze - now.gaze)) < MOST_GLANCE
        for now, then in zip(before, after, strict=True)
    )


def _mixed(
    before: tuple[EyeSight, Eye], after: tuple[EyeSight, Eye], landmarks: Landmarks, share: float
) -> Eye:
    """Return an eye on a mesh of its own frame: `share` of the way, in the eye's own axes."""
    seen = before[1]
    axes = _axes(landmarks, seen.side)
    (contours, iris), (later_contours, later_iris) = (
        (_axes(sight.landmarks, eye.side).own(points) for points in (eye.contours, eye.iris))
        for sight, eye in (before, after)
    )
    white = seen.white
    if white is not None and after[1].white is not None:
        white = white + np.float32(share) * (after[1].white - white)

    return replace(
        seen,
        contours=_float32(axes.image(contours + share * (later_contours - contours))),
        iris=_float32(axes.image(iris + share * (later_iris - iris))),
        white=white,
    )


def _axes(landmarks: Landmarks, side: int) -> EyeAxes:
    return EyeAxes.of(landmarks[LIDS[side][OUTER]], landmarks[LIDS[side][INNER]], side)


def _float32(points: NDArray[np.float64]) -> NDArray[np.float32]:
    return points.astype(np.float32)
