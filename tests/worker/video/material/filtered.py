"""Videos that went through the whole video path, with a filter in place of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.inference.frames.i420 import I420Frame
from models.inference.options import FrameReport, SequenceReport
from tests.worker.video.material.samples import LIMITS
from worker.video.encoder import EncoderSettings
from worker.video.muxing.mux import MuxReport
from worker.video.plan import VideoPlan, plan_video
from worker.video.probe import VideoInfo
from worker.video.segments import OutputSettings, SegmentOutcome, join_segments, swap_segment
from worker.video.video import Video

FAST = EncoderSettings(preset="ultrafast", crf=12)


class CornerFilter:
    """Stands where the engine stands: darkens the frame's first 16x16 pixels and remembers the
    times it saw.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.warm: list[float] = []
        self.sizes: set[tuple[int, int]] = set()

    def take(self, frame: I420Frame, time_s: float, *, is_shown: bool = True) -> list[FrameReport]:
        if not is_shown:
            self.warm.append(time_s)
            return []

        self.times.append(time_s)
        self.sizes.add((frame.width, frame.height))
        frame.y[:16, :16] = 16
        frame.u[:8, :8] = 128
        frame.v[:8, :8] = 128

        return [FrameReport((), 0.1, 0.2, 0.3)]

    def finish(self) -> list[FrameReport]:
        return []

    def report(self) -> SequenceReport:
        return SequenceReport((), len(self.times), 0, 0)


@dataclass(frozen=True)
class FilteredVideo:
    """A video that went through the whole video path."""

    path: Path
    plan: VideoPlan
    outcomes: list[SegmentOutcome]
    mux: MuxReport
    swapper: CornerFilter
    opens: int

    @property
    def notes(self) -> set[str]:
        return {note for outcome in self.outcomes for note in outcome.notes} | set(self.mux.notes)


def filter_video(
    source: Path, directory: Path, *, plan: VideoPlan | None = None, **settings: object
) -> FilteredVideo:
    """Plan, swap (with the corner filter) and join `source`.

    The result is `directory`/video.<format>.
    """
    filtered = OutputSettings(**{"encoder": FAST, **settings})
    directory.mkdir(parents=True, exist_ok=True)
    swapper = CornerFilter()

    with Video.open(source, LIMITS) as video:
        plan = plan or plan_video(video)
        paths = [directory / f"{segment.index}.nut" for segment in plan.segments]
        outcomes = [
            swap_segment(video, segment, path, swapper, filtered, lambda _: None)
            for segment, path in zip(plan.segments, paths, strict=True)
        ]
        output = directory / f"video.{filtered.format}"
        mux = join_segments(video, plan, paths, output, filtered, lambda _: None)
        opens = video.opens

    return FilteredVideo(
        path=output, plan=plan, outcomes=outcomes, mux=mux, swapper=swapper, opens=opens
    )


def planned(source: Path, **cuts: float) -> VideoPlan:
    """How a file would be cut."""
    with Video.open(source, LIMITS) as video:
        return plan_video(video, **cuts)


def probed(source: Path) -> VideoInfo:
    """Return what a file is."""
    with Video.open(source, LIMITS) as video:
        return video.info
