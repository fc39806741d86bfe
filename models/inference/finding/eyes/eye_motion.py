"""How one person's eyes move in a video: steadied gaze and lids, and how far open by their own
measure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks
from models.inference.finding.eyes.eye_axes import EyeAxes
from models.inference.finding.eyes.iris_network import LIDS, Eye, EyePair
from models.inference.finding.landmark_filter import OneEuro
from models.inference.frames.affine import transform

Array = NDArray[Any]

HISTORY = 150  # frames: five seconds hold several blinks and far more of open eyes
# At first sight a person is taken to open the eyes a little further usually, within these bounds
# in widths of the eye, as if so many frames had shown it. A video soon knows better, and must not
# begin with narrow eyes shut; a single image is judged by what people do.
FIRST_SHARE = 1.05
FIRST_COUNT = 3
IN_VIDEOS = (0.13, 0.28)
IN_IMAGES = (0.20, 0.28)
LEAST_OPENING = 0.12  # eyes that are never seen open are not opened by twice
# Of narrower eyes the reading is as uncertain as of others, and a larger part of their opening:
# it is trusted less, or they would blink at random. A change of two fifths is more than noise.
TRUSTED_OPENING = 0.22
TRUSTED_CHANGE = 0.4
OPEN_SHARE = 0.7  # of the person's median: lids lower than this are not at rest
REST_RATE = 0.08  # per frame: the shape at rest follows a turning head within half a second
WHITE_RATE = 0.15  # per frame: it is read from a few pixels, and light changes slowly
WINK = 0.55  # of the median: eyes that differ by less are meant to be equal, their reading is not
# Painted eyes are checked in the first frames and every half a second.
FIRST_CHECKS = 5
CHECK_EVERY = 15
CHECK_RATE = 0.15
CHECKED_OPENING = 0.16  # of the eye's width: of narrower ones the gaze is not read well
MOST_CORRECTION = 0.06  # of the eye's width: a third of the iris's radius
# Gaze and lids, in eye widths: a glance takes 40 ms and must not be smeared, noise is .01.
MIN_CUTOFF_HZ = 3.0
CUTOFF_PER_SPEED = 60.0


@dataclass(frozen=True)
class MovingEye:
    """One eye of one frame.

    `seen` is what the network read in this frame, `rest` float32 [16, 2] the lids of the same open
    eye on the steadied mesh, both in pixels of the frame. `glance` [2] is where both irises stand
    aside and down of looking ahead, in the eye's own axes, steadied. `openness` is the opening over
    the person's usual one: 1 at rest, 0 shut. `width_px` is the eye's width in the frame, `white`
    the steadied colour of its white.
    """

    seen: Eye
    rest: Array
    glance: Array
    openness: float
    width_px: float
    white: Array | None

    def moved(self, matrix: Affine) -> MovingEye:
        """Return the eye in the pixels that `matrix` maps the frame's to."""
        return replace(self, seen=self.seen.moved(matrix), rest=transform(self.rest, matrix))


MovingEyes: TypeAlias = tuple[MovingEye, MovingEye]
"""Both eyes, the viewer's left first."""


@dataclass
class EyeMotion:
    """What is kept about one person's eyes between frames.

    `first_bounds` are those of a person's usual opening at first sight.
    """

    first_bounds: tuple[float, float] = IN_VIDEOS
    _sides: tuple[_Side, _Side] = field(init=False)
    _aside: float = field(default=0.0, init=False)
    _correction: float = field(default=0.0, init=False)
    _checks: int = field(default=0, init=False)
    _frames: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._sides = _Side(self.first_bounds), _Side(self.first_bounds)

    def reset(self) -> None:
        """Forget where lids and gaze were, not how far this person opens the eyes."""
        for side in self._sides:
            side.reset()

    def see(
        self, eyes: EyePair, landmarks: Landmarks, steady: Landmarks, time_s: float
    ) -> MovingEyes:
        """Return the eyes of the next frame.

        `landmarks` are the frame's own, in which the eyes were read, `steady` those after the
        filter, on which the face is painted.
        """
        left, right = (
            side.see(eye, landmarks[corners], steady[corners], time_s)
            for side, eye, corners in zip(self._sides, eyes, _CORNERS, strict=True)
        )
        # Eyes glance together, and the mean of two readings is steadier than each. What is aside
        # for one is towards the nose for the other.
        aside = (left.glance[0] - right.glance[0]) / 2
        down = (left.glance[1] + right.glance[1]) / 2
        self._aside = float(aside)
        self._frames += 1
        aside += self._correction
        left = replace(left, glance=np.array([aside, down]))
        right = replace(right, glance=np.array([-aside, down]))

        if abs(left.openness - right.openness) >= WINK:
            return left, right

        both = (left.openness + right.openness) / 2
        return replace(left, openness=both), replace(right, openness=both)

    @property
    def is_check_due(self) -> bool:
        """Whether the eyes painted in this frame are to be looked at."""
        return self._checks < FIRST_CHECKS or self._frames % CHECK_EVERY == 0

    def check(self, painted: EyePair) -> None:
        """Learn from the eyes as they were painted: lids of another shape are read as looking a
        little elsewhere, always to the same side, and later frames make up for it.
        """
        if min(painted[0].opening, painted[1].opening) < CHECKED_OPENING:
            return

        self._checks += 1
        missing = self._aside - float(painted[0].gaze[0] - painted[1].gaze[0]) / 2
        rate = max(1 / (1 + self._checks), CHECK_RATE)
        corrected = self._correction + rate * missing
        self._correction = float(np.clip(corrected, -MOST_CORRECTION, MOST_CORRECTION))


@dataclass
class _Side:
    first_bounds: tuple[float, float]
    openings: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    rest: Array | None = None
    seen_open: bool = False
    white: Array | None = None
    gaze: OneEuro = field(default_factory=lambda: OneEuro(MIN_CUTOFF_HZ, CUTOFF_PER_SPEED))

    def reset(self) -> None:
        self.rest = None
        self.seen_open = False
        self.white = None
        self.gaze.reset()

    def see(self, eye: Eye, corners: Array, steady: Array, time_s: float) -> MovingEye:
        if not self.openings:
            first = float(np.clip(FIRST_SHARE * eye.opening, *self.first_bounds))
            self.openings.extend([first] * FIRST_COUNT)

        usual = max(median(self.openings), LEAST_OPENING)
        self.openings.append(eye.opening)
        # In the axes of the mesh's corners: what is wrong with the mesh is wrong in both.
        lids = EyeAxes.of(corners[0], corners[1], eye.side).own(eye.lids)
        is_open = eye.opening > OPEN_SHARE * usual

        if self.rest is None or (is_open and not self.seen_open):
            self.rest = lids
        elif is_open:
            self.rest = self.rest + REST_RATE * (lids - self.rest)

        self.seen_open |= is_open
        gaze = self.gaze.apply(eye.gaze[None], time_s)[0]
        axes = EyeAxes.of(steady[0], steady[1], eye.side)
        rest = axes.image(self.rest).astype(np.float32)

        if self.white is None or eye.white is None:
            self.white = eye.white if self.white is None else self.white
        else:
            self.white = self.white + WHITE_RATE * (eye.white - self.white)

        return MovingEye(
            seen=eye,
            rest=rest,
            glance=gaze,
            openness=_openness(eye.opening, usual),
            width_px=axes.width,
            white=self.white,
        )


def _openness(opening: float, usual: float) -> float:
    """Return the opening over the usual one, as far as it can be trusted."""
    change = opening / usual - 1
    return 1 + change * min(1.0, max(usual / TRUSTED_OPENING, abs(change) / TRUSTED_CHANGE))


_CORNERS = tuple([lids[0], lids[8]] for lids in LIDS)
