"""Use case: swap faces in a video. A short one in one go.

A long one is planned, surveyed in parts, swapped in parts, and joined: each a task that takes
seconds, so that other videos come in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.inference.engine import FaceSwapEngine
from models.inference.finding.survey.gathering import gather
from worker.job_context import JobContext, Outcome
from worker.settings import MediaLimits
from worker.use_cases.animations.swap_animation import SwapAnimation
from worker.use_cases.animations.written import as_animation_format
from worker.use_cases.identity_loader import IdentityLoader
from worker.use_cases.screening import require_nobody_blocked
from worker.use_cases.target_examiner import TargetExaminer, require_allowed
from worker.use_cases.videos.joined_video import join_parts
from worker.use_cases.videos.segment_swapper import (
    PART_SUFFIX,
    SegmentSwapper,
    VideoWork,
    step_of,
)
from worker.use_cases.videos.survey_tasks import (
    PARTS_IN_FLIGHT,
    SURVEY,
    fan_out_survey,
    read_survey,
    survey_part,
)
from worker.video.output import output_settings
from worker.video.plan import VideoPlan, plan_video
from worker.video.probe import is_video
from worker.video.records import PartRecord, PlanRecord
from worker.video.segments import OutputSettings
from worker.video.surveys.choices import choose, survey_samples
from worker.video.surveys.samples import video_samples
from worker.video.surveys.survey import Survey
from worker.video.surveys.survey_parts import ages_by_person
from worker.video.video import Video

# Steps name the tasks of one job. Their names are in the store: other ones would strand the jobs
# that are in flight during an upgrade.
MUX_STEP: Final = "mux"
ASSIGN_STEP: Final = "cast"


@dataclass
class SwapVideo:
    """Carries out `swap_video` jobs on one engine."""

    engine: FaceSwapEngine
    loader: IdentityLoader
    limits: MediaLimits

    @property
    def _segments(self) -> SegmentSwapper:
        return SegmentSwapper(self.engine, self.loader)

    def __call__(self, context: JobContext) -> Outcome | None:
        """Return the finished video, or None when this delivery did a part of one.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        animations = SwapAnimation(self.engine, self.loader, self.limits)
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

        if step == ASSIGN_STEP:
            self._assign(context)
        elif step.startswith(SURVEY):
            survey_part(context, video, self.engine)
        else:
            self._do_part(context, video, settings, int(step[1:]))

        return None

    def _begin(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome | None:
        plan = plan_video(video)
        if len(plan.segments) > 1:
            fan_out_survey(context, plan, following=ASSIGN_STEP)
            return None

        survey = self._survey(context, video, plan)
        work = VideoWork(context=context, video=video, settings=settings, plan=plan, survey=survey)
        path = context.work / f"frames{PART_SUFFIX}"
        part = self._segments.swap(work, plan.segments[0], path, total=plan.frames)

        return join_parts(work, [path], [part], counted=part.frames)

    def _survey(self, context: JobContext, video: Video, plan: VideoPlan) -> Survey:
        def watch(_samples: int) -> None:
            context.progress(0, plan.frames)  # a cancellation is heard during the survey too

        assignments = self.loader.assignments(context.job.payload, context.identities)
        examiner = TargetExaminer(self.engine)
        samples = video_samples(video, context.work)
        survey = survey_samples(self.engine, samples, assignments, watch, examiner.look)
        examiner.require_allowed()
        require_nobody_blocked(context, assignments, survey.chosen())

        return survey

    def _assign(self, context: JobContext) -> None:
        """Settle who becomes whom from the parts of the survey, and have the segments swapped."""
        plan, parts = read_survey(context)
        gathered = gather([part.part() for part in parts])
        scores = [score for part in parts for score in part.nudity_scores]
        require_allowed(scores, ages_by_person(parts, gathered.names).values())

        assignments = self.loader.assignments(context.job.payload, context.identities)
        survey = choose(gathered.surveyed, assignments)
        require_nobody_blocked(context, assignments, survey.chosen())
        record = PlanRecord(plan=plan, survey=survey.to_record())
        steps = [step_of(segment) for segment in plan.segments]
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
        work = VideoWork.planned(context, video, settings)
        path = context.work / f"part{PART_SUFFIX}"
        part = self._segments.swap(work, work.plan.segments[index], path)
        sha256 = context.publish_part(path, PART_SUFFIX)
        context.finish_part(part.model_copy(update={"sha256": sha256}).model_dump_json())

    def _finish(self, context: JobContext, video: Video, settings: OutputSettings) -> Outcome:
        work = VideoWork.planned(context, video, settings)
        outcomes = context.plan()[1]
        parts = [
            PartRecord.model_validate_json(outcomes[step_of(segment)])
            for segment in work.plan.segments
        ]
        paths = [context.part(part.sha256, PART_SUFFIX) for part in parts]

        return join_parts(work, paths, parts)
