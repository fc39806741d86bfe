"""A video as independent segments: planned once, swapped anywhere and in any order, joined without
encoding again.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from av.video.frame import VideoFrame

from models.inference.frames.i420 import I420Frame
from models.inference.options import FrameReport, SequenceReport
from worker.video.encoder import EncoderSettings, SegmentEncoder
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view
from worker.video.mux import MuxReport, Segment, VideoFormat, mux_video
from worker.video.pipeline import Pipeline, StageTimes
from worker.video.plan import PlannedSegment, VideoPlan
from worker.video.probe import VideoInfo
from worker.video.reader import SourceFrame, Span, VideoReader
from worker.video.video import Video

WARM_UP_S: Final = 0.5


class Swapper(Protocol):
    """What a segment needs of the engine: `models.inference.engine.SequenceSwapper`, or a filter in
    a test.
    """

    def swap(self, frame: I420Frame, time_s: float) -> FrameReport: ...
    def warm_up(self, frame: I420Frame, time_s: float) -> None: ...
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
) -> SegmentOutcome:
    """Swap one segment into the file `output`, whose bytes depend on nothing but the arguments.

    `watch` gets the number of frames done, at least four times a second; what it raises ends the
    work.
    """
    picture = PictureFormat.of(video.info, settings.max_side)
    preparer = FramePreparer(video.info, picture, output.parent)
    reader = VideoReader(video, preparer)
    work = _FrameWork(swapper, picture)
    with SegmentEncoder(output, settings.encoder, picture, segment.start) as encoder:
        frames = reader.frames(_span(segment, video.info))
        pipeline = Pipeline(frames, work, encoder.encode, watch)
        pipeline.run()
    give_memory_back()
    notes = (*sorted(preparer.notes), *reader.damage.notes())
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
        format=settings.format,
        picture=PictureFormat.of(video.info, settings.max_side),
        audio=settings.audio,
        watch=watch,
    )


def give_memory_back() -> None:
    """Have the C library return what is free: kept buffers are quick within a segment, but creep
    over many.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own; others do without
    if trim is not None:
        trim(0)


class _FrameWork:
    """The middle of the pipeline: a frame comes out swapped.

    A frame of the warm-up does not come out.
    """

    def __init__(self, swapper: Swapper, picture: PictureFormat) -> None:
        self._swapper, self._colour = swapper, picture.colour
        self.engine_ms: Counter[str] = Counter()

    def __call__(self, frame: SourceFrame) -> VideoFrame | None:
        view = i420_view(frame.picture, self._colour)
        if not frame.shown:
            self._swapper.warm_up(view, frame.time_s)
            return None
        report = self._swapper.swap(view, frame.time_s)
        spent = {
            "detect_ms": report.detect_ms,
            "swap_ms": report.swap_ms,
            "blend_ms": report.blend_ms,
        }
        self.engine_ms.update(spent)
        return frame.picture


def _span(segment: PlannedSegment, info: VideoInfo) -> Span:
    if segment.index == 0:
        return Span(None, segment.stop)
    return Span(segment.start, segment.stop, round(WARM_UP_S / info.time_base))
