"""Steadying landmarks in time: the one-euro filter (Casiez et al., 2012), sized by the face."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks
from models.inference.finding.alignment import eye_distance

# In eye distances per second, so that near and far faces are filtered alike. Tuned with `make bar
# BAR=Q-3`.
MIN_CUTOFF_HZ = 1.0
CUTOFF_PER_SPEED = 20.0
SPEED_CUTOFF_HZ = 2.0


@dataclass
class LandmarkFilter:
    """A low-pass whose cutoff rises with speed: still faces stop trembling, moving ones are not
    left behind.

    `strength` 0..1: 0 is off, 0.5 the tuned filter; towards 1 the cutoff falls to a tenth of that.
    """

    strength: float = 0.5
    _position: NDArray[np.float64] | None = field(default=None, init=False)
    _velocity: NDArray[np.float64] | None = field(default=None, init=False)
    _time_s: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Forget the past: the next landmarks belong to another shot or another place."""
        self._position = self._velocity = None

    def apply(self, landmarks: Landmarks, time_s: float) -> Landmarks:
        """Return the landmarks of the frame at `time_s`, steadied; times must not run backwards."""
        if self._position is None or self._velocity is None:
            self._position, self._velocity = landmarks.astype(np.float64), np.zeros(landmarks.shape)
            self._time_s = time_s
            return landmarks
        if self.strength <= 0:
            return landmarks
        elapsed = max(1e-3, time_s - self._time_s)
        self._time_s = time_s
        step = landmarks - self._position
        self._velocity += _smoothing(SPEED_CUTOFF_HZ, elapsed) * (step / elapsed - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=1, keepdims=True) / max(
            1.0, eye_distance(landmarks)
        )
        cutoff = (MIN_CUTOFF_HZ + CUTOFF_PER_SPEED * speed) * max(0.1, 1 / self.strength - 1)
        self._position = self._position + _smoothing(cutoff, elapsed) * step
        return self._position.astype(np.float32)


def _smoothing(cutoff_hz: NDArray[np.float64] | float, elapsed_s: float) -> NDArray[np.float64]:
    """Return the share of the new value that a first-order low-pass takes over `elapsed_s`."""
    turn = 2 * np.pi * np.asarray(cutoff_hz) * elapsed_s
    return np.asarray(turn / (turn + 1))
