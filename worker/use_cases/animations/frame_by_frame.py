"""An animation's frames, swapped in their order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from models.inference.arrays import Embedding
from models.inference.frames.frame import Frame
from models.inference.options import FrameReport
from models.inference.swapping.sequence_swapper import SequenceSwapper
from worker.media.animation import (
    AnimatedFrame,
)
from worker.video.report import PersonRow, person_rows, stage_ms
from worker.video.surveys.survey import Survey

NEWCOMER: Final = "n"  # begins the names of people whom the survey has missed


class FrameByFrame:
    """Swaps frames in order; `timings` are milliseconds by stage.

    The swapper holds frames back for a moment, so that what is made of a frame is made later.
    """

    def __init__(
        self, swapper: SequenceSwapper, survey: Survey, watch: Callable[[int], None]
    ) -> None:
        self.survey = survey
        self.timings: Counter[str] = Counter()
        self._swapper = swapper
        self._watch = watch
        self._held: deque[Callable[[], AnimatedFrame]] = deque()
        self._frames: list[AnimatedFrame] = []

    def add(self, frame: Frame, time_s: float, make: Callable[[], AnimatedFrame]) -> None:
        """Take the next frame; `make` returns it for the animation once it is swapped."""
        self._watch(len(self._frames))
        # The swapper delays frames; they come back in the order in which they went in.
        self._held.append(make)
        self._write(self._swapper.take(frame, time_s))

    def finish(self) -> list[AnimatedFrame]:
        """Return all frames, swapped."""
        self._write(self._swapper.finish())
        return self._frames

    def people(self) -> list[PersonRow]:
        """Return the report's rows; whoever the survey has missed gets the next `person_id`."""
        rows = person_rows(self._swapper.report())
        free = count(len(self.survey.surveyed.people) + 1)

        for row in rows:
            # Names of the survey stay; people it missed get the next numbers.
            if row["person_id"].startswith(NEWCOMER):
                row["person_id"] = f"p{next(free)}"

        return rows

    def swapped_newcomers(self) -> list[Embedding]:
        """Return those whom the survey has missed, and whose face was replaced."""
        seen = self._swapper.people()
        swapped = {
            row["person_id"] for row in person_rows(self._swapper.report()) if row["frames_swapped"]
        }
        return [
            view for name, view in seen.items() if name in swapped and name.startswith(NEWCOMER)
        ]

    def _write(self, reports: Sequence[FrameReport]) -> None:
        for report in reports:
            self.timings.update(stage_ms(report))
            self._frames.append(self._held.popleft()())
