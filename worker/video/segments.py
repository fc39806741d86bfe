"""A video as independent segments: planned once, swapped anywhere and in any order, joined without
encoding again.
"""

from __future__ import annotations

import ctypes
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from av.video.frame import VideoFrame

from models.inference.frames.i420 import I420Frame
from models.inference.options import FrameReport, SequenceReport
from worker.formats import VideoFormat
from worker.provenance.marking import Marking
from worker.video.encoder import EncoderSettings, SegmentEncoder
from worker.video.frames.frame_format import FrameFormat, source_matrix
from worker.video.frames.planes import FramePreparer, i420_view, scaled
from worker.video.muxing.mux import MuxReport, MuxSettings, Segment, mux_video
from worker.video.pipeline import Pipeline, StageTimes
from worker.video.plan import PlannedSegment, VideoPlan
from worker.video.probe import VideoInfo
from worker.video.reader import SourceFrame, Span, VideoReader
from worker.video.report import stage_ms
from worker.video.video import Video

# Long enough for the tracker and the landmark filter to settle; it is decoded and not shown.
WARM_UP_S: Final = 0.5


class Swapper(Protocol):
    """What a segment needs of the engine: `models.inference.engine.SequenceSwapper`, or a filter in
    a test.
    """

    def take(
        self, frame: I420Frame, time_s: float, *, is_shown: bool = True
    ) -> Sequence[FrameReport]: ...
    def finish(self) -> Sequence[FrameReport]: ...
    def report(self) -> SequenceReport: ...


@dataclass(frozen=True)
class OutputSettings:
    """Everything about the output but who is swapped."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    format: VideoFormat = "mp4"
    audio: Literal["copy", "drop"] = "copy"
    max_side: int | None = None


@dataclass(frozen=True)
class SegmentOutcome:
    """One swapped segment: frames written, what the engine and the reader have to say, where the
    time went.
    """

    frames: int
    report: SequenceReport
    notes: tuple[str, ...]
    times: StageTimes
    engine_ms: Mapping[str, float] = field(default_factory=dict)


def swap_segment(
    video: Video,
    segment: PlannedSegment,
    output: Path,
    swapper: Swapper,
    settings: OutputSettings,
    watch: Callable[[int], None],
    marking: Marking | None = None,
) -> SegmentOutcome:
    """Swap one segment into the file `output`, whose bytes depend on nothing but the arguments.

    `watch` gets the number of frames done, at least four times a second; what it raises ends the
    work.
    """
    # People are found and swapped at full size: scaled first, small faces would be lost.
    whole = FrameFormat.of(video.info, None)
    frame_format = FrameFormat.of(video.info, settings.max_side)
    preparer = FramePreparer(video.info, whole, output.parent)
    reader = VideoReader(video, preparer)
    work = _FrameWork(swapper, whole, frame_format)

    with SegmentEncoder(output, settings.encoder, frame_format, segment.start, marking) as encoder:
        frames = reader.frames(span_of(segment, video.info))
        pipeline = Pipeline(frames, work, encoder.encode, watch, rest=work.rest)
        pipeline.run()

    give_memory_back()
    changes = preparer.notes | ({"scaled_down"} if is_smaller(frame_format, whole) else set())

    if frame_format.colour != whole.colour:
        changes |= {f"tagged_as_{source_matrix(video.info)}"}

    notes = (*sorted(changes), *reader.damage.notes())
    return SegmentOutcome(
        frames=encoder.frames,
        report=swapper.report(),
        notes=notes,
        times=pipeline.times,
        engine_ms=work.engine_ms,
    )


def join_segments(
    video: Video,
    plan: VideoPlan,
    paths: Sequence[Path],
    output: Path,
    settings: OutputSettings,
    watch: Callable[[int], None],
) -> MuxReport:
    """Write the video from its swapped segments, in the plan's order, and the source's other
    tracks.
    """
    segments = [
        Segment(path, planned.start) for path, planned in zip(paths, plan.segments, strict=True)
    ]
    return mux_video(
        segments,
        video,
        output,
        MuxSettings(
            format=settings.format,
            frame_format=FrameFormat.of(video.info, settings.max_side),
            audio=settings.audio,
            last_duration=plan.last_duration,
        ),
        watch,
    )


def is_smaller(frame_format: FrameFormat, whole: FrameFormat) -> bool:
    """Whether the output is scaled down."""
    return max(frame_format.width, frame_format.height) < max(whole.width, whole.height)


def give_memory_back() -> None:
    """Have the C library return what is free: kept buffers are quick within a segment, but creep
    over many.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own; others do without
    if trim is not None:
        trim(0)


class _FrameWork:
    """The middle of the pipeline: frames come out swapped, and scaled only then.

    The swapper holds frames back for a moment; a frame of the warm-up does not come out.
    """

    def __init__(self, swapper: Swapper, whole: FrameFormat, frame_format: FrameFormat) -> None:
        self._swapper = swapper
        self._colour = whole.colour
        self._frame_format = frame_format
        self._held: deque[VideoFrame] = deque()
        self.engine_ms: Counter[str] = Counter()

    def __call__(self, frame: SourceFrame) -> list[VideoFrame]:
        view = i420_view(frame.image, self._colour)
        # Before the swapper gets it, which may be through with it at once.
        if frame.shown:
            self._held.append(frame.image)
        return self._written(self._swapper.take(view, frame.time_s, is_shown=frame.shown))

    def rest(self) -> list[VideoFrame]:
        """Return the frames that were still held back."""
        return self._written(self._swapper.finish())

    def _written(self, reports: Sequence[FrameReport]) -> list[VideoFrame]:
        for report in reports:
            self.engine_ms.update(stage_ms(report))

        return [scaled(self._held.popleft(), self._frame_format) for _ in reports]


def span_of(segment: PlannedSegment, info: VideoInfo) -> Span:
    # Nothing lies before the first frame to warm up on.
    if segment.index == 0:
        return Span(None, segment.stop)
    return Span(
        start=segment.start,
        stop=segment.stop,
        warm_up=round(WARM_UP_S / info.time_base),
        read_from=segment.read_from,
    )
