"""What a long video's tasks leave for each other in the job's record, as JSON in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.contract import Strict
from worker.video.plan import VideoPlan
from worker.video.report import person_rows
from worker.video.segments import SegmentOutcome
from worker.video.survey import SurveyRecord


class PlanRecord(Strict):
    """What the first task settles for all others: where to cut, and who is in the video."""

    plan: VideoPlan
    survey: SurveyRecord


class PartRecord(Strict):
    """What became of one segment; `sha256` names its file among the job's parts.

    `people` are the report's rows; `timings` are milliseconds by stage.
    """

    frames: int
    people: tuple[dict[str, Any], ...]
    cuts: int
    detections: int
    notes: tuple[str, ...]
    timings: dict[str, float]
    sha256: str = ""

    @classmethod
    def of(cls, outcome: SegmentOutcome) -> PartRecord:
        """Return the record of a swapped segment that is not published yet."""
        stages = {
            "decode_ms": outcome.times.decode_s * 1e3,
            "encode_ms": outcome.times.encode_s * 1e3,
        }
        return cls(
            frames=outcome.frames,
            people=tuple(person_rows(outcome.report)),
            cuts=outcome.report.cuts,
            detections=outcome.report.detections,
            notes=tuple(outcome.notes),
            timings={**stages, **outcome.engine_ms},
        )


def add_timings(parts: Sequence[PartRecord]) -> dict[str, float]:
    """Return the parts' timings added up, by stage."""
    names = sorted({name for part in parts for name in part.timings})
    return {name: sum(part.timings.get(name, 0.0) for part in parts) for name in names}
