"""Use case: swap faces in an animated picture, or make one of a film: frame by frame, no sound, all
in one go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from av.video.frame import VideoFrame

from models.inference.engine import FaceSwapEngine, SequenceSwapper
from models.inference.frames.frame import Frame
from models.inference.frames.still_frame import StillFrame
from worker.errors import JobFailure
from worker.job_context import JobContext, Outcome
from worker.media.animation import (
    MEDIA_TYPES,
    AnimatedFrame,
    AnimationFormat,
    most_frames,
    probe_animation,
    read_animation,
    write_animation,
)
from worker.media.images import fit_within
from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits
from worker.use_cases.casting import Casting, swap_options
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view
from worker.video.reader import SourceFrame, Span, VideoReader
from worker.video.report import PersonRow, person_rows, require_quality, video_quality
from worker.video.video import Video

DEFAULT_QUALITY: Final = 80


@dataclass
class SwapAnimation:
    """Makes animations with swapped faces, on one engine."""

    engine: FaceSwapEngine
    casting: Casting
    limits: MediaLimits

    def of_animation(self, context: JobContext) -> Outcome:
        """The animated input, swapped, in its own format or the one asked for.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        output = context.job.payload.options.output
        info = probe_animation(context.input, self.limits)
        if info is None:
            raise UnsupportedMedia("a still picture is not a video; send it to the image swap")
        format = _require_format(output.format or info.format)
        work = _FrameByFrame(self._swapper(context), context.progress)
        frames = [
            work.swap_picture(frame, output.max_side)
            for frame in read_animation(context.input, self.limits)
        ]
        return self._outcome(context, work, frames, format, info.loop)

    def of_video(self, context: JobContext, video: Video, format: AnimationFormat) -> Outcome:
        """Return the video as an animation that plays for ever; raises as `of_animation` does."""
        info = video.info
        picture = PictureFormat.of(info, context.job.payload.options.output.max_side)
        preparer = FramePreparer(info, picture, context.work)
        reader = VideoReader(video, preparer)
        most = most_frames(picture.width, picture.height, self.limits)
        work = _FrameByFrame(self._swapper(context), context.progress)
        frames: list[AnimatedFrame] = []
        for frame in reader.frames(Span()):
            if len(frames) >= most:
                raise MediaTooLarge(
                    f"an animation of this size may have {most} frames; ask for a smaller max_side"
                )
            frames.append(work.swap_frame(frame, picture))
        notes = [
            *sorted(preparer.notes),
            *reader.damage.notes(),
            *(["audio_left_out"] * (info.audio_tracks > 0)),
        ]
        return self._outcome(
            context, work, _until_next(frames, 1e3 / float(info.fps)), format, 0, notes
        )

    def _swapper(self, context: JobContext) -> SequenceSwapper:
        assignments = self.casting.assignments(context.job.payload, context.identities)
        options = swap_options(context.job.payload.options, measure_similarity=True)
        return self.engine.sequence(assignments, options)

    def _outcome(
        self,
        context: JobContext,
        work: _FrameByFrame,
        frames: Sequence[AnimatedFrame],
        format: AnimationFormat,
        loop: int | None,
        notes: Sequence[str] = (),
    ) -> Outcome:
        if not frames:
            raise DamagedMedia("no frame of the input can be decoded")
        options, people = context.job.payload.options, person_rows(work.swapper.report())
        require_somebody(people)
        require_quality(people, options.min_quality)
        file = context.work / f"film.{format}"
        write_animation(
            file, format, frames, loop=loop, quality=options.output.quality or DEFAULT_QUALITY
        )
        height, width = frames[0].bgr.shape[:2]
        report = {
            "faces": people,
            "quality": video_quality(people),
            "frames": len(frames),
            "notes": list(notes),
        }
        size = width, height, len(frames)
        return Outcome(file, MEDIA_TYPES[format], f".{format}", *size, report, dict(work.timings))


class _FrameByFrame:
    """Swaps frames in order; `timings` are milliseconds by stage."""

    def __init__(self, swapper: SequenceSwapper, watch: Callable[[int], None]) -> None:
        self.swapper, self._watch = swapper, watch
        self.timings: Counter[str] = Counter()
        self._done = 0

    def swap_picture(self, frame: AnimatedFrame, max_side: int | None) -> AnimatedFrame:
        """A frame of an animation, swapped and then scaled."""
        self._swap(StillFrame(frame.bgr), frame.time_s)
        alpha = None if frame.alpha is None else fit_within(frame.alpha, max_side)
        return replace(frame, bgr=fit_within(frame.bgr, max_side), alpha=alpha)

    def swap_frame(self, frame: SourceFrame, picture: PictureFormat) -> AnimatedFrame:
        """A frame of a film, swapped, as a picture that has no duration yet."""
        view = i420_view(frame.picture, picture.colour)
        self._swap(view, frame.time_s)
        return AnimatedFrame(_to_bgr(frame.picture, view.matrix), None, frame.time_s, 0.0)

    def _swap(self, frame: Frame, time_s: float) -> None:
        self._watch(self._done)
        report = self.swapper.swap(frame, time_s)
        spent = {
            "detect_ms": report.detect_ms,
            "swap_ms": report.swap_ms,
            "blend_ms": report.blend_ms,
        }
        self.timings.update(spent)
        self._done += 1


def require_somebody(people: Sequence[PersonRow]) -> None:
    """Raise JobFailure `no_face` or `face_not_found` for a film in which nobody was to be
    swapped.
    """
    if not people:
        raise JobFailure("no_face", "No face was found in the video.")
    if not any(row["identity_id"] for row in people):
        raise JobFailure("face_not_found", "No person in the video matches the selection.")


def as_animation_format(format: str | None) -> AnimationFormat | None:
    """The format, if it is one of an animation's."""
    return next((name for name in MEDIA_TYPES if name == format), None)


def _require_format(format: str) -> AnimationFormat:
    known = as_animation_format(format)
    if known is None:
        raise UnsupportedMedia(
            f"an animation is written as {', '.join(MEDIA_TYPES)}, not as {format}"
        )
    return known


def _until_next(frames: Sequence[AnimatedFrame], last_ms: float) -> list[AnimatedFrame]:
    """The frames, each shown until the next one's time."""
    gaps = [(after.time_s - before.time_s) * 1e3 for before, after in pairwise(frames)]
    return [
        replace(frame, duration_ms=gap)
        for frame, gap in zip(frames, [*gaps, last_ms], strict=False)
    ]


def _to_bgr(frame: VideoFrame, matrix: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    colours = "ITU709" if matrix == "bt709" else "ITU601"
    return np.array(frame.reformat(format="bgr24", src_colorspace=colours).to_ndarray(), np.uint8)
