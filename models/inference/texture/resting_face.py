"""What a person's face is like at rest, learned while it is followed through a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from models.inference.texture.target_measures import TargetMeasures

# Five seconds: longer than a smile that begins a shot, shorter than a shot. The first frame counts
# as half a second: were it one of few, the mean would run after what the face does then.
MEMORY_FRAMES = 150
FIRST_FRAMES = 15


@dataclass
class RunningMean:
    """The mean of an array over the last seconds."""

    _mean: NDArray[Any] | None = field(default=None, init=False)
    _frames: int = field(default=0, init=False)

    def reset(self) -> None:
        """Forget what was seen."""
        self._mean = None
        self._frames = 0

    def see(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the mean of what was seen, of the same shape, with this frame's added to it."""
        self._frames = min(self._frames + 1, MEMORY_FRAMES)
        if self._mean is None:
            self._mean = values.copy()
            self._frames = FIRST_FRAMES
        else:
            self._mean += (values - self._mean) / self._frames

        return self._mean


@dataclass
class RestingFace:
    """The running means of one face's proportions and of how high its brows stand.

    An identity's proportions are to stand against those of the target's face at rest. Against
    those of the frame at hand, a raised brow or a wide mouth would count as the shape of the head
    and be taken back. `measures` are what the video shows of its light, focus and hair.
    """

    measures: TargetMeasures = field(default_factory=TargetMeasures)
    proportions: RunningMean = field(default_factory=RunningMean)
    brows: RunningMean = field(default_factory=RunningMean)

    def reset(self) -> None:
        """Forget: the track now follows someone else."""
        self.proportions.reset()
        self.brows.reset()
        self.measures.reset()
