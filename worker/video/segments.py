"""A film as independent segments: planned once, swapped anywhere and in any order, joined without
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
from worker.video.mux import FilmFormat, MuxReport, Segment, mux_film
from worker.video.pipeline import Pipeline, StageTimes
from worker.video.plan import FilmPlan, PlannedSegment
from worker.video.planes import FramePreparer, PictureFormat, i420_view
from worker.video.probe import VideoInfo, VideoLimits, probe_video
from worker.video.reader import SourceFrame, Span, VideoReader

WARM_UP_S: Final = 0.5


class Swapper(Protocol):
    """What a segment needs of the engine: `models.inference.engine.SequenceSwapper`, or a filter in
    a test.
    """

    def swap(self, frame: I420Frame, time_s: float) -> FrameReport: ...
    def warm_up(self, frame: I420Frame, time_s: float) -> None: ...
    def report(self) -> SequenceReport: ...


@dataclass(frozen=True)
class FilmSettings:
    """Everything about the output but who is swapped."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    format: FilmFormat = "mp4"
    audio: Literal["copy", "drop"] = "copy"
    max_side: int | None = None
    limits: VideoLimits = field(default_factory=VideoLimits)
    decoder_threads: int = 1


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
    source: Path,
    segment: PlannedSegment,
    output: Path,
    swapper: Swapper,
    settings: FilmSettings,
    watch: Callable[[int], None],
) -> SegmentOutcome:
    """Swap one segment into the file `output`, whose bytes depend on nothing but the arguments.

    `watch` gets the number of frames done, at least four times a second; what it raises ends the
    work.
    """
    info = probe_video(source, settings.limits)
    picture = PictureFormat.of(info, settings.max_side)
    preparer = FramePreparer(info, picture, output.parent)
    reader = VideoReader(source, settings.limits, preparer, settings.decoder_threads)
    work = _FrameWork(swapper, picture)
    with SegmentEncoder(output, settings.encoder, picture, segment.start) as encoder:
        pipeline = Pipeline(reader.frames(_span(segment, info)), work, encoder.encode, watch)
        pipeline.run()
    give_memory_back()
    notes = (*sorted(preparer.notes), *reader.damage.notes())
    return SegmentOutcome(encoder.frames, swapper.report(), notes, pipeline.times, work.engine_ms)


def join_segments(
    source: Path,
    plan: FilmPlan,
    paths: Sequence[Path],
    output: Path,
    settings: FilmSettings,
    watch: Callable[[int], None],
) -> MuxReport:
    """Write the film from its swapped segments, in the plan's order, and the source's other
    tracks.
    """
    info = probe_video(source, settings.limits)
    return mux_film(
        [Segment(path, planned.start) for path, planned in zip(paths, plan.segments, strict=True)],
        source,
        output,
        format=settings.format,
        picture=PictureFormat.of(info, settings.max_side),
        audio=settings.audio,
        limits=settings.limits,
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
