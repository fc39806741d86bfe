"""What a long video's tasks leave for each other in the job's record, as JSON in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.inference.arrays import Embedding
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.people import SAME_PERSON
from worker.contract.options import Strict
from worker.video.plan import VideoPlan
from worker.video.report import PersonRow, merge_rows, person_rows
from worker.video.segments import SegmentOutcome
from worker.video.surveys.survey import Survey, SurveyRecord, decode, encode


class PlanRecord(Strict):
    """What is settled for all later tasks: where to cut, and, once the parts of the survey are
    gathered, who is in the video.
    """

    plan: VideoPlan
    survey: SurveyRecord | None = None


class PartRecord(Strict):
    """What became of one segment; `sha256` names its file among the job's parts,
    `hashes` are fingerprints of its marked frames.

    `people` are the report's rows; `newcomers` the embeddings (see `survey.encode`) of those among
    them whom the survey had missed; `timings` are milliseconds by stage.
    """

    frames: int
    people: tuple[dict[str, Any], ...]
    newcomers: dict[str, str]
    cuts: int
    detections: int
    notes: tuple[str, ...]
    timings: dict[str, float]
    sha256: str = ""
    hashes: tuple[int, ...] = ()

    @classmethod
    def of(cls, outcome: SegmentOutcome, newcomers: Mapping[str, Embedding]) -> PartRecord:
        """Return the record of a swapped segment that is not published yet."""
        stages = {
            "decode_ms": outcome.times.decode_s * 1e3,
            "encode_ms": outcome.times.encode_s * 1e3,
        }
        return cls(
            frames=outcome.frames,
            people=tuple(person_rows(outcome.report)),
            newcomers={name: encode(view) for name, view in newcomers.items()},
            cuts=outcome.report.cuts,
            detections=outcome.report.detections,
            notes=tuple(outcome.notes),
            timings={**stages, **outcome.engine_ms},
        )


def people_of(survey: Survey, parts: Sequence[PartRecord]) -> list[PersonRow]:
    """Return the report's rows of the whole video.

    Somebody whom the survey had missed is the same person in two segments only where their views
    surely agree; everybody else gets the next free `person_id`.
    """
    known = {one.person_id: one.embedding for one in survey.surveyed.people}
    merged = []

    for part in parts:
        names: dict[str, str] = {}
        for name, text in part.newcomers.items():
            view = decode(text)
            free = {one: other for one, other in known.items() if one not in names.values()}
            # Each known person at most once in a segment: two people in it are never one.
            best = max(free, key=lambda one: cosine_similarity(view, free[one]), default=None)
            is_known = best is not None and cosine_similarity(view, free[best]) >= SAME_PERSON
            names[name] = best if is_known and best is not None else f"p{len(known) + 1}"
            # The first view stays: averaging would drift over a long video.
            known.setdefault(names[name], view)

        merged.append([_renamed(row, names) for row in part.people])

    return merge_rows(merged)


def _renamed(row: PersonRow, names: Mapping[str, str]) -> PersonRow:
    return {**row, "person_id": names.get(row["person_id"], row["person_id"])}


def add_timings(parts: Sequence[PartRecord]) -> dict[str, float]:
    """Return the parts' timings added up, by stage."""
    names = sorted({name for part in parts for name in part.timings})
    return {name: sum(part.timings.get(name, 0.0) for part in parts) for name in names}
