"""The frames that a survey looks at: some of every second, and the first one of each scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from av.video.frame import VideoFrame

from models.inference.arrays import Plane
from models.inference.finding.face_tracker import is_cut
from models.inference.frames.frame import Frame
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import FramePreparer, i420_view, luma_samples
from worker.video.reader import Span, VideoReader
from worker.video.video import Video

EVERY_S: Final = 0.25  # whoever is in view for half a second is seen, in two samples as a rule
MOST_SAMPLES: Final = 14_400  # an hour of them; a longer video is sampled less often
WHOLE: Final = Span()


@dataclass(frozen=True)
class Sample:
    """A frame to look at, upright and at full size, and when it is shown."""

    frame: Frame
    time_s: float


def video_samples(video: Video, scratch: Path, span: Span = WHOLE) -> Iterator[Sample]:
    """Return frames spread over a span of the video, and the first one of every scene.

    Frames on which no other depends are not even decoded.
    """
    frame_format = FrameFormat.of(video.info, None)
    # A longer video is looked at less often, so that the survey's time is bounded.
    gap_s = max(EVERY_S, (video.info.duration_s or 0.0) / MOST_SAMPLES)
    chooser = _SampleChooser(gap_s)
    reader = VideoReader(
        video,
        FramePreparer(video.info, frame_format, scratch),
        decoded="referenced",
        chosen=chooser,
    )

    for frame in reader.frames(span):
        yield Sample(i420_view(frame.image, frame_format.colour), frame.time_s)


class _SampleChooser:
    """Whether a decoded frame is looked at: when it is due, or begins a scene."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._due_s = float("-inf")
        self._before: Plane | None = None

    def __call__(self, frame: VideoFrame) -> bool:
        samples = luma_samples(frame)
        before = self._before
        # A new scene may show new people, however soon it comes.
        begins_scene = before is None or before.shape != samples.shape or is_cut(before, samples)
        self._before = samples

        time_s = float((frame.pts or 0) * (frame.time_base or 0))
        if not begins_scene and time_s < self._due_s:
            return False

        self._due_s = time_s + self._gap_s
        return True
