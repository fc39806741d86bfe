"""Use case: what would a swap take? A dry run on two seconds of the target."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.swapping.selection import Assignment
from worker.errors import JobFailure
from worker.job_context import JobContext, Outcome
from worker.settings import MediaLimits
from worker.use_cases.identity_loader import IdentityLoader, swap_options
from worker.use_cases.previewing.first_look import FirstLook, Looked, Seen
from worker.use_cases.screening import require_nobody_blocked
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import FramePreparer
from worker.video.glimpses import key_before
from worker.video.output import output_settings
from worker.video.plan import PlannedSegment, plan_video
from worker.video.probe import is_video
from worker.video.reader import Span, VideoReader
from worker.video.segments import swap_segment
from worker.video.surveys.samples import EVERY_S, MOST_SAMPLES
from worker.video.video import Video

# What encoder and swapper hold back, some 15 frames, would weigh too much at the end of fewer.
STRETCH_FRAMES: Final = 60
STARTUP_S: Final = 0.5  # of a job: claiming it, reading the header, joining, signing, publishing


@dataclass(frozen=True)
class Estimated:
    """What a swap of the target would take on one worker like this one.

    `seconds` leave the queue out. A `cost_units` is one face swapped in one frame. `refusals` are
    codes for which the swap would fail.
    """

    people: int
    frames: int
    duration_s: float
    seconds: float
    fps: float
    cost_units: int
    refusals: Sequence[str]


@dataclass
class Estimate:
    """Carries out `estimate` jobs on one engine."""

    engine: FaceSwapEngine
    loader: IdentityLoader
    limits: MediaLimits

    def __call__(self, context: JobContext) -> Outcome:
        """Return the estimate as a JSON file, and as `estimate` of the report.

        Raises JobFailure, also as MediaError.
        """
        # As a swap does it, so that an erased identity fails here too.
        assignments = self.loader.assignments(context.job.payload, context.identities)
        seen = FirstLook(self.engine, self.limits).look(context, assignments)
        estimated = self._estimate(context, seen, assignments)
        file = context.work / "estimate.json"
        # A file as well as the report: results are fetched in one way, whatever the job.
        file.write_text(json.dumps(asdict(estimated)))

        return Outcome(
            file=file,
            media_type="application/json",
            suffix=".json",
            frames=estimated.frames,
            report={"estimate": asdict(estimated)},
        )

    def _estimate(
        self, context: JobContext, seen: Seen, assignments: Sequence[Assignment]
    ) -> Estimated:
        with context.input.open("rb") as file:
            if is_video(file):
                with Video(file, self.limits) as video:
                    return self._of_video(context, video, seen, assignments)

        return self._of_images(context, seen, assignments)

    def _of_video(
        self, context: JobContext, video: Video, seen: Seen, assignments: Sequence[Assignment]
    ) -> Estimated:
        plan = plan_video(video)
        # From the middle: beginnings are often black, or titles without a face.
        stretch = _stretch(video, plan.frames)
        swap_s = self._timed_swap(context, video, stretch, seen, assignments)
        decode_s = _timed_decoding(context, video, stretch)

        # Some containers give no duration; the frames and their rate do.
        duration_s = video.info.duration_s or plan.frames / float(video.info.fps)
        # The survey's own rule, whose time is part of the swap's.
        samples = min(duration_s / EVERY_S, MOST_SAMPLES)
        survey_s = plan.frames * decode_s + samples * self._look_s(seen.frames)
        seconds = STARTUP_S + survey_s + plan.frames * swap_s

        return self._estimated(context, seen, assignments, plan.frames, duration_s, seconds)

    def _of_images(
        self, context: JobContext, seen: Seen, assignments: Sequence[Assignment]
    ) -> Estimated:
        """Return the estimate of an image or an animation, whose frames cost alike."""
        options = swap_options(context.job.payload.options, measure_similarity=True)
        began = time.perf_counter()
        # Swapped for real: the time depends on how many faces are large and how many are chosen.
        for looked in seen.frames:
            self.engine.swap_found(looked.bgr, looked.faces, assignments, options)

        swap_s = (time.perf_counter() - began) / len(seen.frames) + self._look_s(seen.frames)
        seconds = STARTUP_S + swap_s * seen.count
        return self._estimated(
            context, seen, assignments, seen.count, seen.frames[-1].time_s, seconds
        )

    def _timed_swap(
        self,
        context: JobContext,
        video: Video,
        stretch: PlannedSegment,
        seen: Seen,
        assignments: Sequence[Assignment],
    ) -> float:
        """Return the seconds that a frame takes from decoding to the encoded result."""
        options = context.job.payload.options
        settings = output_settings(options.output, options.audio, video.info.media_type)
        survey = seen.survey
        swapper = self.engine.sequence(
            survey.resolve(assignments) if survey else assignments,
            swap_options(options, measure_similarity=True),
            surveyed=survey.surveyed if survey else None,
            prefix="n",
        )

        seen_at: list[tuple[int, float]] = []  # frames done, and when

        def watch(done: int) -> None:
            context.progress(done, stretch.frames)
            # The report before the first frame counts once; later ones without progress are
            # heartbeats.
            if done or not seen_at:
                seen_at.append((done, time.perf_counter()))

        path = context.work / "stretch.nut"
        outcome = swap_segment(video, stretch, path, swapper, settings, watch, context.marking)
        ended = time.perf_counter()

        # From the first frame on: what came before it, in another group of frames, was decoded only
        # to get there.
        done, began = next((one for one in seen_at if one[0]), seen_at[0])
        return (ended - began) / max(1, outcome.frames - done)

    def _look_s(self, frames: Sequence[Looked]) -> float:
        """Return the seconds that it takes to find and recognise everybody in a sample."""
        began = time.perf_counter()
        survey = self.engine.survey()
        for looked in frames:
            survey.add(ImageFrame(looked.bgr), looked.time_s)

        return (time.perf_counter() - began) / len(frames)

    def _estimated(
        self,
        context: JobContext,
        seen: Seen,
        assignments: Sequence[Assignment],
        frames: int,
        duration_s: float,
        seconds: float,
    ) -> Estimated:
        people = {name for looked in seen.frames for name in looked.names}
        faces = sum(len(looked.faces) for looked in seen.frames) / len(seen.frames)
        # Nobody is swapped twice, so no more than are there.
        chosen = min(faces, len(seen.survey.choices) if seen.survey else len(assignments))

        refusals = _refusals(context, seen, assignments)

        return Estimated(
            people=len(people),
            frames=frames,
            duration_s=round(duration_s, 3),
            seconds=round(seconds, 2),
            fps=round(frames / seconds, 2),
            cost_units=round(frames * chosen),
            refusals=refusals,
        )


def _stretch(video: Video, frames: int) -> PlannedSegment:
    """Return some frames from the middle of a video, from a key frame on."""
    info = video.info
    step = max(1, round(1 / info.fps / info.time_base))
    start = key_before(video, info.start_pts + frames // 2 * step)
    stop = start + STRETCH_FRAMES * step
    # The index decides whether there is something before it to warm up on.
    is_first = start == info.start_pts

    return PlannedSegment(
        index=0 if is_first else 1,
        start=start,
        stop=stop,
        frames=min(frames, STRETCH_FRAMES),
        # Without it all that lies before would be decoded first.
        read_from=start if info.has_showing_times else None,
    )


def _timed_decoding(context: JobContext, video: Video, stretch: PlannedSegment) -> float:
    """Return the seconds that a frame takes to be decoded as the survey does it."""
    preparer = FramePreparer(video.info, FrameFormat.of(video.info, None), context.work)
    reader = VideoReader(video, preparer, decoded="referenced", chosen=lambda _: False)

    began = time.perf_counter()
    span = Span(stretch.start, stretch.stop, read_from=stretch.read_from)
    for _ in reader.frames(span):
        pass  # none is chosen

    # What cannot be sought is decoded from its beginning on.
    frame_s = 1 / float(video.info.fps) / float(video.info.time_base)
    before = (stretch.start - video.info.start_pts) / frame_s if stretch.read_from is None else 0
    return (time.perf_counter() - began) / (before + stretch.frames)


def _refusals(context: JobContext, seen: Seen, assignments: Sequence[Assignment]) -> list[str]:
    """Return the codes for which a swap of this target would fail."""
    try:
        seen.examiner.require_allowed()
        require_nobody_blocked(context, assignments, seen.survey.chosen() if seen.survey else ())
    # An estimate says what would fail; it does not fail for it.
    except JobFailure as refusal:
        return [refusal.code]

    if not any(looked.faces for looked in seen.frames):
        return ["no_face"]

    return ["face_not_found"] if seen.survey is not None and not seen.survey.choices else []
