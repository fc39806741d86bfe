"""Steadying landmarks in time: between the looks before and after, where they are held, and by
the one-euro filter (Casiez et al., 2012), sized by the face.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks
from models.inference.finding.alignment import eye_distance

# In eye distances per second, so that near and far faces are filtered alike. Tuned with `make bar
# BAR=Q-3`.
MIN_CUTOFF_HZ = 1.0
CUTOFF_PER_SPEED = 20.0
SPEED_CUTOFF_HZ = 2.0
# How far a look may lie beside the line between its neighbours by chance, in eye distances: one
# look of the mesh differs from the next by .005 to .008.
NOISE = 0.01
# Of that, what is taken away: of three looks that err alike, the mean errs least.
NOISE_SHARE = 2 / 3
# The filter may then be so many times quicker, which halves its lag where a face moves evenly, and
# what comes out is still steadier.
LENIENCE_BETWEEN = 2.0


@dataclass
class OneEuro:
    """A low-pass whose cutoff rises with speed: what rests stops trembling, what moves is not left
    behind.

    `min_cutoff_hz` holds at rest; `cutoff_per_speed` is added for each unit per second.
    """

    min_cutoff_hz: float
    cutoff_per_speed: float
    _position: NDArray[np.float64] | None = field(default=None, init=False)
    _velocity: NDArray[np.float64] | None = field(default=None, init=False)
    _time_s: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Forget the past."""
        self._position = self._velocity = None

    def apply(
        self, points: NDArray[Any], time_s: float, *, unit: float = 1.0, lenience: float = 1.0
    ) -> NDArray[np.float64]:
        """Return points [n, 2] of the time `time_s`, steadied; times must not run backwards.

        Speed is measured in `unit` per second; `lenience` multiplies the cutoff.
        """
        if self._position is None or self._velocity is None:
            self._position = points.astype(np.float64)
            self._velocity = np.zeros(points.shape)
            self._time_s = time_s

            return self._position

        elapsed = max(1e-3, time_s - self._time_s)
        self._time_s = time_s
        step = points - self._position
        self._velocity += _smoothing(SPEED_CUTOFF_HZ, elapsed) * (step / elapsed - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True) / unit
        cutoff = (self.min_cutoff_hz + self.cutoff_per_speed * speed) * lenience
        self._position = self._position + _smoothing(cutoff, elapsed) * step

        return self._position


@dataclass(frozen=True)
class TimedLandmarks:
    """A face mesh in pixels of the frame at `time_s`."""

    landmarks: Landmarks
    time_s: float


@dataclass
class LandmarkFilter:
    """Steadies a face mesh.

    `strength` 0..1: 0 is off, 0.5 the tuned filter; towards 1 the cutoff falls to a tenth of that.
    """

    strength: float = 0.5
    _filter: OneEuro = field(
        default_factory=lambda: OneEuro(MIN_CUTOFF_HZ, CUTOFF_PER_SPEED), init=False
    )
    _before: TimedLandmarks | None = field(default=None, init=False)

    def reset(self) -> None:
        """Forget the past: the next landmarks belong to another shot or another place."""
        self._filter.reset()
        self._before = None

    def apply(
        self, landmarks: Landmarks, time_s: float, after: TimedLandmarks | None = None
    ) -> Landmarks:
        """Return the landmarks of the frame at `time_s`, steadied; times must not run backwards.

        `after` is the same face one frame later, where it was seen already.
        """
        if self.strength <= 0:
            return landmarks

        before = self._before
        now = TimedLandmarks(landmarks, time_s)
        self._before = now
        unit = max(1.0, eye_distance(landmarks))
        lenience = max(0.1, 1 / self.strength - 1)

        if before is not None and after is not None:
            landmarks = _less_noisy(before, now, after, unit)
            lenience *= LENIENCE_BETWEEN

        steady = self._filter.apply(landmarks, time_s, unit=unit, lenience=lenience)
        return steady.astype(np.float32)


def _less_noisy(
    before: TimedLandmarks, now: TimedLandmarks, after: TimedLandmarks, unit: float
) -> Landmarks:
    """Return landmarks drawn to the line between their neighbours, without lag.

    What lies further beside it than noise does is motion, and stays.
    """
    share = (now.time_s - before.time_s) / max(after.time_s - before.time_s, 1e-6)
    line = before.landmarks + np.float32(share) * (after.landmarks - before.landmarks)
    beside = now.landmarks - line
    far = np.linalg.norm(beside, axis=1, keepdims=True) / (NOISE * unit)
    return np.asarray(now.landmarks - NOISE_SHARE * beside / np.maximum(far, 1) ** 2, np.float32)


def _smoothing(cutoff_hz: NDArray[np.float64] | float, elapsed_s: float) -> NDArray[np.float64]:
    """Return the share of the new value that a first-order low-pass takes over `elapsed_s`."""
    turn = 2 * np.pi * np.asarray(cutoff_hz) * elapsed_s
    return np.asarray(turn / (turn + 1))
