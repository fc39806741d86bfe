"""Use case: swap faces in an animation, or make one of a video: frame by frame, no sound, all
in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from worker.formats import AnimationFormat
from worker.job_context import JobContext, Outcome
from worker.media.animation import (
    AnimatedFrame,
    most_frames,
    probe_animation,
    read_animation,
)
from worker.media.images import fit_within
from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits
from worker.use_cases.animations.frame_by_frame import NEWCOMER, FrameByFrame
from worker.use_cases.animations.written import Writer, writer_of
from worker.use_cases.identity_loader import IdentityLoader, swap_options
from worker.use_cases.outcomes import assignment_outcomes, outcome_report, require_somebody
from worker.use_cases.screening import require_nobody_blocked
from worker.use_cases.target_examiner import TargetExaminer
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import FramePreparer, i420_view, scaled, to_bgr
from worker.video.plan import plan_video
from worker.video.reader import SourceFrame, Span, VideoReader
from worker.video.report import require_quality, video_quality
from worker.video.segments import is_smaller
from worker.video.surveys.choices import survey_samples
from worker.video.surveys.samples import Sample, video_samples
from worker.video.video import Video


@dataclass
class SwapAnimation:
    """Makes animations with swapped faces, on one engine."""

    engine: FaceSwapEngine
    loader: IdentityLoader
    limits: MediaLimits

    def of_animation(self, context: JobContext) -> Outcome:
        """Return the animated input, swapped, in its own format or as the one asked for.

        A video's format makes a video of it, in which each frame is shown as long.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        output = context.job.payload.options.output
        info = probe_animation(context.input, self.limits)

        if info is None:
            raise UnsupportedMedia("a single image is not a video; send it to the image swap")

        writer = writer_of(output, output.format or info.format, info.loop)
        samples = (
            Sample(ImageFrame(frame.bgr), frame.time_s)
            for frame in read_animation(context.input, self.limits)
        )
        work = self._begin(context, samples)

        # Read twice: once for the survey, once to swap, since all frames at once may not fit.
        for frame in read_animation(context.input, self.limits):
            work.add(ImageFrame(frame.bgr), frame.time_s, partial(_fitted, frame, output.max_side))

        return self._outcome(context, work, work.finish(), writer)

    def of_video(self, context: JobContext, video: Video, file_format: AnimationFormat) -> Outcome:
        """Return the video as an animation that plays for ever; raises as `of_animation` does."""
        info = video.info
        whole = FrameFormat.of(info, None)
        frame_format = FrameFormat.of(info, context.job.payload.options.output.max_side)
        most = most_frames(frame_format.width, frame_format.height, self.limits)

        if plan_video(video).frames > most:  # said before minutes are spent on looking at it
            raise _too_many_frames(most)

        work = self._begin(context, video_samples(video, context.work))
        preparer = FramePreparer(info, whole, context.work)
        reader = VideoReader(video, preparer)

        for index, frame in enumerate(reader.frames(Span())):
            # Counted while reading: a container's number of frames is a claim.
            if index >= most:
                raise _too_many_frames(most)

            view = i420_view(frame.image, whole.colour)
            work.add(view, frame.time_s, partial(_as_animated, frame, frame_format, view.matrix))

        changes = preparer.notes | ({"scaled_down"} if is_smaller(frame_format, whole) else set())
        notes = [
            *sorted(changes),
            *reader.damage.notes(),
            # No animation format has sound.
            *(["audio_left_out"] * (info.audio_tracks > 0)),
        ]

        frames = _until_next(work.finish(), 1e3 / float(info.fps))
        writer = writer_of(context.job.payload.options.output, file_format, 0)
        return self._outcome(context, work, frames, writer, notes)

    def _begin(self, context: JobContext, samples: Iterable[Sample]) -> FrameByFrame:
        def watch(_samples: int) -> None:
            context.progress(0)  # nothing is swapped yet, but a cancellation is heard

        assignments = self.loader.assignments(context.job.payload, context.identities)
        examiner = TargetExaminer(self.engine)
        survey = survey_samples(self.engine, samples, assignments, watch, examiner.look)
        examiner.require_allowed()
        require_nobody_blocked(context, assignments, survey.chosen())
        options = swap_options(context.job.payload.options, measure_similarity=True)
        swapper = self.engine.sequence(
            survey.resolve(assignments), options, surveyed=survey.surveyed, prefix=NEWCOMER
        )

        return FrameByFrame(swapper, survey, context.progress)

    def _outcome(
        self,
        context: JobContext,
        work: FrameByFrame,
        frames: Sequence[AnimatedFrame],
        writer: Writer,
        notes: Sequence[str] = (),
    ) -> Outcome:
        if not frames:
            raise DamagedMedia("no frame of the input can be decoded")

        require_nobody_blocked(context, (), work.swapped_newcomers())
        payload = context.job.payload
        people = work.people()
        outcomes = assignment_outcomes(payload, people, work.survey.unmatched)
        quality = video_quality(people)
        report = {"faces": people, "quality": quality, **outcome_report(outcomes)}

        require_somebody(payload, outcomes, report)
        require_quality(people, payload.options.min_quality)

        file = context.work / f"animation{writer.suffix}"
        written = writer.write(file, frames, context.marking)
        context.progress(len(frames), len(frames), last=True)

        return Outcome(
            file=file,
            media_type=written.media_type,
            suffix=writer.suffix,
            width=written.width,
            height=written.height,
            frames=written.frames,
            report={**report, "frames": written.frames, "notes": [*notes, *written.notes]},
            timings=dict(work.timings),
        )


def _too_many_frames(most: int) -> MediaTooLarge:
    return MediaTooLarge(
        f"an animation of this size may have {most} frames; ask for a smaller max_side"
    )


def _until_next(frames: Sequence[AnimatedFrame], last_ms: float) -> list[AnimatedFrame]:
    """Return the frames, each shown until the next one's time."""
    gaps = [(after.time_s - before.time_s) * 1e3 for before, after in pairwise(frames)]
    return [
        replace(frame, duration_ms=gap)
        for frame, gap in zip(frames, [*gaps, last_ms], strict=False)
    ]


def _fitted(frame: AnimatedFrame, max_side: int | None) -> AnimatedFrame:
    alpha = None if frame.alpha is None else fit_within(frame.alpha, max_side)
    return replace(frame, bgr=fit_within(frame.bgr, max_side), alpha=alpha)


def _as_animated(frame: SourceFrame, frame_format: FrameFormat, matrix: str) -> AnimatedFrame:
    """Return a frame of a video at the size of `frame_format`, as one that has no duration yet."""
    bgr = to_bgr(scaled(frame.image, frame_format), matrix)
    return AnimatedFrame(bgr, alpha=None, time_s=frame.time_s, duration_ms=0.0)
