"""Swaps one segment of a video, whose plan and survey an earlier step has made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.inference.engine import FaceSwapEngine
from worker.job_context import JobContext
from worker.stores.blobs.durable_files import noticing_full_disk
from worker.use_cases.identity_loader import IdentityLoader, swap_options
from worker.use_cases.screening import require_nobody_blocked
from worker.video.plan import PlannedSegment, VideoPlan
from worker.video.records import PartRecord, PlanRecord
from worker.video.segments import OutputSettings, swap_segment
from worker.video.surveys.survey import Survey
from worker.video.video import Video

# NUT keeps timestamps exactly, see `SEGMENT_FORMAT`.
PART_SUFFIX: Final = ".nut"


@dataclass(frozen=True)
class VideoWork:
    """What every step of one video needs."""

    context: JobContext
    video: Video
    settings: OutputSettings
    plan: VideoPlan
    survey: Survey

    @classmethod
    def planned(cls, context: JobContext, video: Video, settings: OutputSettings) -> VideoWork:
        """Return the work that an earlier step has planned."""
        record = PlanRecord.model_validate_json(context.plan()[0])
        survey = _survey_of(record)
        return cls(context=context, video=video, settings=settings, plan=record.plan, survey=survey)


@dataclass(frozen=True)
class SegmentSwapper:
    """Swaps segments on one engine."""

    engine: FaceSwapEngine
    loader: IdentityLoader

    def swap(
        self, work: VideoWork, segment: PlannedSegment, path: Path, total: int | None = None
    ) -> PartRecord:
        """Swap one segment into a file at `path`; return what became of it.

        Raises JobFailure; what `context.progress` raises passes through.
        """
        context = work.context
        survey = work.survey
        payload = context.job.payload

        assignments = survey.resolve(self.loader.assignments(payload, context.identities))
        options = swap_options(payload.options, measure_similarity=True)
        # People whom the survey has missed get names of their segment: two never clash in the join.
        prefix = f"{step_of(segment)}."
        swapper = self.engine.sequence(
            assignments, options, surveyed=survey.surveyed, prefix=prefix
        )

        def watch(done: int) -> None:
            context.progress(done, total)

        with noticing_full_disk():
            outcome = swap_segment(
                work.video, segment, path, swapper, work.settings, watch, context.marking
            )

        context.progress(outcome.frames, total, last=True)
        newcomers = {
            name: view for name, view in swapper.people().items() if name.startswith(prefix)
        }
        seen = {person.person_id for person in outcome.report.people}
        part = PartRecord.of(outcome, {name: newcomers[name] for name in newcomers if name in seen})
        swapped = {row["person_id"] for row in part.people if row["frames_swapped"]}
        # Whom the survey missed is known only now; nothing of the segment is delivered yet.
        require_nobody_blocked(
            context, (), [view for name, view in newcomers.items() if name in swapped]
        )
        hashes = tuple(context.marking.hashes) if context.marking else ()

        return part.model_copy(update={"hashes": hashes})


def step_of(segment: PlannedSegment) -> str:
    """Return the name of the step that swaps a segment."""
    return f"s{segment.index:04d}"


def _survey_of(record: PlanRecord) -> Survey:
    if record.survey is None:
        raise ValueError("segments are swapped after the survey")
    return Survey.from_record(record.survey)
