"""Use case: swap faces in a video. A short one in one go.

A long one planned, swapped in parts, and joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.inference.engine import FaceSwapEngine
from worker.job_context import JobContext, Outcome
from worker.settings import MediaLimits
from worker.stores.durable_files import noticing_full_disk
from worker.use_cases.casting import Casting, swap_options
from worker.use_cases.swap_animation import SwapAnimation, as_animation_format, require_somebody
from worker.video.frames.planes import PictureFormat
from worker.video.mux import MEDIA_TYPES, MuxReport
from worker.video.output import output_settings
from worker.video.plan import PlannedSegment, VideoPlan, plan_video
from worker.video.probe import is_video
from worker.video.records import PartRecord, PlanRecord, add_timings
from worker.video.report import PersonRow, merge_rows, require_quality, video_quality
from worker.video.segments import OutputSettings, join_segments, swap_segment
from worker.video.survey import Survey, key_frame_samples, survey_video
from worker.video.video import Video

MUX_STEP: Final = "mux"
PART_SUFFIX: Final = ".nut"
PARTS_IN_FLIGHT: Final = 2  # a long video must not starve the others


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
            if not is_video(file):
                return animations.of_animation(context)
            return self._swap_video(context, Video(file, self.limits), animations)

    def _swap_video(
        self, context: JobContext, video: Video, animations: SwapAnimation
    ) -> Outcome | None:
        with video:
            format = as_animation_format(context.job.payload.options.output.format)
            if format:
                return animations.of_video(context, video, format)
            return self._do_step(context, video)

    def _do_step(self, context: JobContext, video: Video) -> Outcome | None:
        options = context.job.payload.options
        settings = output_settings(options.output, options.audio, video.info)
        step = context.task.step
        if step is None:
            return self._begin(context, video, settings)
        if step == MUX_STEP:
            return self._finish(context, video, settings)
        self._do_part(context, video, settings, int(step[1:]))
        return None

    def _begin(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome | None:
        plan = plan_video(video)
        if len(plan.segments) > 1:
            self._fan_out(context, video, plan)
            return None
        path = context.work / f"frames{PART_SUFFIX}"
        part = self._swap(
            context, video, plan.segments[0], path, settings, Survey(), total=plan.frames
        )
        return self._join(context, video, plan, [path], [part], settings, counted=part.frames)

    def _fan_out(self, context: JobContext, video: Video, plan: VideoPlan) -> None:
        def watch(count: int) -> None:
            context.progress(0, plan.frames)

        assignments = self.casting.assignments(context.job.payload, context.identities)
        samples = key_frame_samples(video, self.engine, context.work)
        survey = survey_video(samples, assignments, watch)
        record = PlanRecord(plan=plan, survey=survey.to_record())
        steps = [f"s{segment.index:04d}" for segment in plan.segments]
        context.fan_out(steps, record.model_dump_json(), plan.frames, in_flight=PARTS_IN_FLIGHT)

    def _do_part(
        self, context: JobContext, video: Video, settings: OutputSettings, index: int
    ) -> None:
        record = PlanRecord.model_validate_json(context.plan()[0])
        path = context.work / f"part{PART_SUFFIX}"
        survey = Survey.from_record(record.survey)
        part = self._swap(context, video, record.plan.segments[index], path, settings, survey)
        sha256 = context.publish_part(path, PART_SUFFIX)
        context.finish_part(part.model_copy(update={"sha256": sha256}).model_dump_json())

    def _finish(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome:
        plan_json, outcomes = context.plan()
        plan = PlanRecord.model_validate_json(plan_json).plan
        parts = [
            PartRecord.model_validate_json(outcomes[f"s{segment.index:04d}"])
            for segment in plan.segments
        ]
        paths = [context.part(part.sha256, PART_SUFFIX) for part in parts]
        return self._join(context, video, plan, paths, parts, settings)

    def _swap(
        self,
        context: JobContext,
        video: Video,
        segment: PlannedSegment,
        path: Path,
        settings: OutputSettings,
        survey: Survey,
        total: int | None = None,
    ) -> PartRecord:
        assignments = survey.resolve(
            self.casting.assignments(context.job.payload, context.identities)
        )
        options = swap_options(context.job.payload.options, measure_similarity=True)
        swapper = self.engine.sequence(assignments, options, people=survey.people)

        def watch(done: int) -> None:
            context.progress(done, total)

        with noticing_full_disk():
            outcome = swap_segment(video, segment, path, swapper, settings, watch)
        context.progress(outcome.frames, total, last=True)
        return PartRecord.of(outcome)

    def _join(
        self,
        context: JobContext,
        video: Video,
        plan: VideoPlan,
        paths: Sequence[Path],
        parts: Sequence[PartRecord],
        settings: OutputSettings,
        counted: int = 0,
    ) -> Outcome:
        """Join the segments; that adds nothing to the `counted` frames of this task.

        Reporting them is how a cancellation is heard.
        """
        people = merge_rows([part.people for part in parts])
        require_somebody(people)
        require_quality(people, context.job.payload.options.min_quality)

        output = context.work / f"video.{settings.format}"
        with noticing_full_disk():
            mux = join_segments(
                video, plan, paths, output, settings, lambda _: context.progress(counted)
            )
        picture = PictureFormat.of(video.info, settings.max_side)
        return Outcome(
            file=output,
            media_type=MEDIA_TYPES[settings.format],
            suffix=f".{settings.format}",
            width=picture.width,
            height=picture.height,
            frames=mux.frames,
            report=_report(people, plan, parts, mux),
            timings=add_timings(parts),
        )


def _report(
    people: Sequence[PersonRow], plan: VideoPlan, parts: Sequence[PartRecord], mux: MuxReport
) -> dict[str, Any]:
    notes = {note for part in parts for note in part.notes} | set(mux.notes)
    return {
        "faces": list(people),
        "quality": video_quality(people),
        "frames": mux.frames,
        "cuts": sum(part.cuts for part in parts),
        "detections": sum(part.detections for part in parts),
        "segments": len(plan.segments),
        "tracks_copied": list(mux.copied),
        "notes": sorted(notes | ({"truncated"} if plan.truncated else set())),
    }
