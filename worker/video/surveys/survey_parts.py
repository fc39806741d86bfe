"""A long video is surveyed in parts, so that nobody waits for all of it: what one part leaves for
the task that gathers them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from pydantic import Field

from models.inference.arrays import Box
from models.inference.finding.survey.surveyed import (
    FollowedFace,
    SeenFace,
    SurveyPart,
)
from models.inference.safety.age import ApparentAge
from worker.contract.options import Strict
from worker.video.plan import PlannedSegment, VideoPlan
from worker.video.reader import Span
from worker.video.surveys.survey import decode, encode

# Segments that one task looks at: 10 s of video, looked at in a second or two.
TOGETHER: Final = 2

SeenRow = tuple[int, float, float, float, float, float]


class FollowedRecord(Strict):
    """A `FollowedFace`; the sum of its views as `survey.encode` writes it."""

    view_sum: str
    weight: float
    human: float


class SeenRecord(Strict):
    """What an analysis shows of a track; boxes are [time, (left, top, right, bottom)], the
    thumbnail is a data URI.
    """

    frames: int
    first_seen_s: float
    last_seen_s: float
    boxes: tuple[tuple[float, Box], ...]
    yaw_range_deg: tuple[float, float]
    eye_px_range: tuple[float, float]
    best_view: float
    thumbnail_uri: str | None


class SurveyPartRecord(Strict):
    """A `SurveyPart`, each face as track, left, top, right, bottom, eye distance.

    Before a swap with what may forbid it: scores of sexual content, and apparent ages in years by
    the number of the track. For an analysis with what it shows of each track.
    """

    times_s: tuple[float, ...]
    samples: tuple[tuple[SeenRow, ...], ...]
    tracks: tuple[FollowedRecord, ...]
    hard_to_find: bool
    nudity_scores: tuple[float, ...] = ()
    ages: dict[int, tuple[float, float]] = Field(default_factory=dict)
    seen: tuple[SeenRecord, ...] = ()

    @classmethod
    def of(
        cls,
        part: SurveyPart,
        nudity_scores: Sequence[float] = (),
        ages: Mapping[int, ApparentAge] | None = None,
    ) -> SurveyPartRecord:
        """Return the record of a part."""
        samples = tuple(tuple(_as_row(one) for one in sample) for sample in part.samples)
        tracks = tuple(
            FollowedRecord(view_sum=encode(track.view_sum), weight=track.weight, human=track.human)
            for track in part.tracks
        )
        return cls(
            times_s=part.times_s,
            samples=samples,
            tracks=tracks,
            hard_to_find=part.hard_to_find,
            nudity_scores=tuple(nudity_scores),
            ages={track: (age.years, age.under_18) for track, age in (ages or {}).items()},
        )

    def part(self) -> SurveyPart:
        """Return what `of` was given."""
        samples = tuple(
            tuple(
                SeenFace(track=track, box=(left, top, right, bottom), eye_px=eye_px)
                for track, left, top, right, bottom, eye_px in sample
            )
            for sample in self.samples
        )
        tracks = tuple(
            FollowedFace(decode(track.view_sum), track.weight, track.human) for track in self.tracks
        )
        return SurveyPart(self.times_s, samples, tracks, self.hard_to_find)


def _as_row(face: SeenFace) -> SeenRow:
    left, top, right, bottom = (float(side) for side in face.box)
    return face.track, left, top, right, bottom, float(face.eye_px)


def survey_steps(plan: VideoPlan) -> list[str]:
    """Return the names of the survey's tasks."""
    return [f"v{index:04d}" for index in range(0, len(plan.segments), TOGETHER)]


def span_of_step(plan: VideoPlan, step: str) -> Span:
    """Return what the task of a name in `survey_steps` looks at."""
    segments: Sequence[PlannedSegment] = plan.segments[int(step[1:]) :][:TOGETHER]
    first = segments[0]
    start = first.start if first.index else None
    return Span(start=start, stop=segments[-1].stop, read_from=first.read_from)


def ages_by_person(
    records: Sequence[SurveyPartRecord], names: Sequence[Sequence[str]]
) -> dict[str, ApparentAge]:
    """Return everyone's apparent age: the median over their tracks."""
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for record, people in zip(records, names, strict=True):
        for track, estimate in record.ages.items():
            seen[people[track]].append(estimate)

    return {
        person: ApparentAge(
            years=median(years for years, _ in estimates),
            under_18=median(under_18 for _, under_18 in estimates),
        )
        for person, estimates in seen.items()
    }
