"""Use case: swap faces in a video. A short one in one go.

A long one is planned, surveyed in parts, swapped in parts, and joined: each a task that takes
seconds, so that other videos come in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.inference.engine import FaceSwapEngine
from models.inference.finding.survey.gathering import gather
from worker.formats import MEDIA_TYPES
from worker.job_context import JobContext, Outcome
from worker.provenance.resemblance import thinned
from worker.settings import MediaLimits
from worker.stores.blobs.durable_files import noticing_full_disk
from worker.use_cases.animations.swap_animation import SwapAnimation
from worker.use_cases.animations.written import as_animation_format
from worker.use_cases.casting import Casting, swap_options
from worker.use_cases.outcomes import assignment_outcomes, outcome_report, require_somebody
from worker.use_cases.screening import require_nobody_blocked
from worker.use_cases.survey_tasks import (
    PARTS_IN_FLIGHT,
    SURVEY,
    fan_out_survey,
    read_survey,
    survey_part,
)
from worker.use_cases.target_examiner import TargetExaminer, require_allowed
from worker.video.frames.planes import PictureFormat
from worker.video.muxing.mux import MuxReport
from worker.video.output import output_settings
from worker.video.plan import PlannedSegment, VideoPlan, plan_video
from worker.video.probe import is_video
from worker.video.records import PartRecord, PlanRecord, add_timings, people_of
from worker.video.report import require_quality, video_quality
from worker.video.segments import OutputSettings, join_segments, swap_segment
from worker.video.survey import Survey, choose, survey_samples, video_samples
from worker.video.survey_parts import ages_by_person
from worker.video.video import Video

# Steps name the tasks of one job; their names are in the store, so they must not change in passing.
MUX_STEP: Final = "mux"
CAST_STEP: Final = "cast"
# NUT keeps timestamps exactly, see `SEGMENT_FORMAT`.
PART_SUFFIX: Final = ".nut"


@dataclass(frozen=True)
class _Work:
    """What every step of one video needs."""

    context: JobContext
    video: Video
    settings: OutputSettings
    plan: VideoPlan
    survey: Survey

    @classmethod
    def planned(cls, context: JobContext, video: Video, settings: OutputSettings) -> _Work:
        """Return the work that an earlier step has planned."""
        record = PlanRecord.model_validate_json(context.plan()[0])
        survey = _survey_of(record)
        return cls(context=context, video=video, settings=settings, plan=record.plan, survey=survey)


@dataclass
class SwapVideo:
    """Carries out `swap_video` jobs on one engine."""

    engine: FaceSwapEngine
    casting: Casting
    limits: MediaLimits

    def __call__(self, context: JobContext) -> Outcome | None:
        """Return the finished video, or None when this delivery did a part of one.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        animations = SwapAnimation(self.engine, self.casting, self.limits)
        with context.input.open("rb") as file:
            # A GIF or APNG sent to the video endpoint is an animation.
            if not is_video(file):
                return animations.of_animation(context)
            return self._swap_video(context, Video(file, self.limits), animations)

    def _swap_video(
        self, context: JobContext, video: Video, animations: SwapAnimation
    ) -> Outcome | None:
        with video:
            file_format = as_animation_format(context.job.payload.options.output.format)
            if file_format:
                return animations.of_video(context, video, file_format)

            return self._do_step(context, video)

    def _do_step(self, context: JobContext, video: Video) -> Outcome | None:
        options = context.job.payload.options
        settings = output_settings(options.output, options.audio, video.info.media_type)
        step = context.task.step

        if step is None:
            return self._begin(context, video, settings)
        if step == MUX_STEP:
            return self._finish(context, video, settings)

        if step == CAST_STEP:
            self._cast(context)
        elif step.startswith(SURVEY):
            survey_part(context, video, self.engine)
        else:
            self._do_part(context, video, settings, int(step[1:]))

        return None

    def _begin(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome | None:
        plan = plan_video(video)
        if len(plan.segments) > 1:
            fan_out_survey(context, plan, following=CAST_STEP)
            return None

        survey = self._survey(context, video, plan)
        work = _Work(context=context, video=video, settings=settings, plan=plan, survey=survey)
        path = context.work / f"frames{PART_SUFFIX}"
        part = self._swap(work, plan.segments[0], path, total=plan.frames)

        return self._join(work, [path], [part], counted=part.frames)

    def _survey(self, context: JobContext, video: Video, plan: VideoPlan) -> Survey:
        def watch(_samples: int) -> None:
            context.progress(0, plan.frames)  # a cancellation is heard during the survey too

        assignments = self.casting.assignments(context.job.payload, context.identities)
        examiner = TargetExaminer(self.engine)
        samples = video_samples(video, context.work)
        survey = survey_samples(self.engine, samples, assignments, watch, examiner.look)
        examiner.require_allowed()
        require_nobody_blocked(context, assignments, survey.chosen())

        return survey

    def _cast(self, context: JobContext) -> None:
        """Settle who becomes whom from the parts of the survey, and have the segments swapped."""
        plan, parts = read_survey(context)
        gathered = gather([part.part() for part in parts])
        scores = [score for part in parts for score in part.nudity_scores]
        require_allowed(scores, ages_by_person(parts, gathered.names).values())

        assignments = self.casting.assignments(context.job.payload, context.identities)
        survey = choose(gathered.surveyed, assignments)
        require_nobody_blocked(context, assignments, survey.chosen())
        record = PlanRecord(plan=plan, survey=survey.to_record())
        steps = [_step(segment) for segment in plan.segments]
        context.fan_out(
            steps,
            record.model_dump_json(),
            plan.frames,
            in_flight=PARTS_IN_FLIGHT,
            following=MUX_STEP,
        )

    def _do_part(
        self, context: JobContext, video: Video, settings: OutputSettings, index: int
    ) -> None:
        work = _Work.planned(context, video, settings)
        path = context.work / f"part{PART_SUFFIX}"
        part = self._swap(work, work.plan.segments[index], path)
        sha256 = context.publish_part(path, PART_SUFFIX)
        context.finish_part(part.model_copy(update={"sha256": sha256}).model_dump_json())

    def _finish(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome:
        work = _Work.planned(context, video, settings)
        outcomes = context.plan()[1]
        parts = [
            PartRecord.model_validate_json(outcomes[_step(segment)])
            for segment in work.plan.segments
        ]
        paths = [context.part(part.sha256, PART_SUFFIX) for part in parts]

        return self._join(work, paths, parts)

    def _swap(
        self, work: _Work, segment: PlannedSegment, path: Path, total: int | None = None
    ) -> PartRecord:
        context = work.context
        survey = work.survey
        payload = context.job.payload

        assignments = survey.resolve(self.casting.assignments(payload, context.identities))
        options = swap_options(payload.options, measure_similarity=True)
        # People whom the survey has missed get names of their segment: two never clash in the join.
        prefix = f"{_step(segment)}."
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

    def _join(
        self, work: _Work, paths: Sequence[Path], parts: Sequence[PartRecord], counted: int = 0
    ) -> Outcome:
        """Join the segments; that adds nothing to the `counted` frames of this task.

        Reporting them is how a cancellation is heard.
        """
        context = work.context
        survey = work.survey
        settings = work.settings
        payload = context.job.payload
        people = people_of(survey, parts)
        outcomes = assignment_outcomes(payload, people, survey.unmatched)
        report = {"faces": people, "quality": video_quality(people), **outcome_report(outcomes)}
        require_somebody(payload, outcomes, report)
        # Before the join: a result that is not wanted need not be written.
        require_quality(people, payload.options.min_quality)

        output = context.work / f"video.{settings.format}"
        with noticing_full_disk():
            mux = join_segments(
                work.video,
                work.plan,
                paths,
                output,
                settings,
                watch=lambda _: context.progress(counted),
            )

        picture = PictureFormat.of(work.video.info, settings.max_side)
        return Outcome(
            file=output,
            media_type=MEDIA_TYPES[settings.format],
            suffix=f".{settings.format}",
            width=picture.width,
            height=picture.height,
            frames=mux.frames,
            hashes=thinned([word for part in parts for word in part.hashes]),
            report={
                **report,
                **_facts(work.plan, parts, mux),
                "notes": _notes(work.plan, parts, mux),
            },
            timings=add_timings(parts),
        )


def _step(segment: PlannedSegment) -> str:
    return f"s{segment.index:04d}"


def _survey_of(record: PlanRecord) -> Survey:
    if record.survey is None:
        raise ValueError("segments are swapped after the survey")
    return Survey.from_record(record.survey)


def _facts(plan: VideoPlan, parts: Sequence[PartRecord], mux: MuxReport) -> dict[str, Any]:
    return {
        "frames": mux.frames,
        "cuts": sum(part.cuts for part in parts),
        "detections": sum(part.detections for part in parts),
        "segments": len(plan.segments),
        "tracks_copied": list(mux.copied),
    }


def _notes(plan: VideoPlan, parts: Sequence[PartRecord], mux: MuxReport) -> list[str]:
    notes = {note for part in parts for note in part.notes} | set(mux.notes)
    return sorted(notes | ({"truncated"} if plan.truncated else set()))
