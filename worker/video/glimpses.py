"""A few frames of a video, spread over it, without decoding what lies between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from models.inference.arrays import BgrImage
from worker.media.media_errors import DamagedMedia
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import FramePreparer, i420_view, to_bgr
from worker.video.reader import Span, VideoReader
from worker.video.video import Video

PLACES: Final = (1 / 6, 1 / 2, 5 / 6)  # of the duration: titles and credits are at the ends
# Key frames can be decoded alone. Where several places have one key frame before them, the second
# and third glimpse are taken this many frames further on: decoding as far as each place may take
# seconds, this takes a fraction of one.
FURTHER: Final = 12


@dataclass(frozen=True)
class Glimpse:
    """A frame, upright and at full size, and when it is shown."""

    bgr: BgrImage
    time_s: float


def glimpses(video: Video, scratch: Path) -> Iterator[Glimpse]:
    """Yield up to three frames, in order of time; raises DamagedMedia when none can be decoded."""
    frame_format = FrameFormat.of(video.info, None)
    reader = VideoReader(video, FramePreparer(video.info, frame_format, scratch))
    any_frame = False

    for span in glimpse_spans(video):
        with suppress(DamagedMedia), closing(reader.frames(span)) as frames:
            frame = next(frames, None)
            if frame is None:
                continue

            any_frame = True
            matrix = i420_view(frame.image, frame_format.colour).matrix
            yield Glimpse(to_bgr(frame.image, matrix), frame.time_s)

    if not any_frame:
        raise DamagedMedia("no frame of the video can be decoded")


def glimpse_spans(video: Video) -> list[Span]:
    """Return where to read the frames to take, in order of time."""
    info = video.info
    length = round((info.duration_s or 0.0) / info.time_base)
    step = max(1, round(1 / info.fps / info.time_base))
    spans: list[Span] = []
    taken: dict[int, int] = {}  # glimpses by the key frame before them

    for place in PLACES:
        wanted = info.start_pts + round(place * length)
        key = key_before(video, wanted)
        start = min(wanted, key + taken.get(key, 0) * FURTHER * step)
        taken[key] = taken.get(key, 0) + 1

        if not spans or start > (spans[-1].start or 0):
            # Else it would be decoded from the video's beginning, as it must be where packets do
            # not say when they are shown: no seek is exact there.
            read_from = key if info.has_showing_times else None
            spans.append(Span(start=start, read_from=read_from))

    return spans


def key_before(video: Video, time: int) -> int:
    """Return the time of the key frame from which the frame at `time` is decoded."""
    with suppress(av.FFmpegError), closing(video.packets(since=time)) as packets:
        for packet in packets:
            if packet.size and packet.pts is not None:
                return min(int(packet.pts), time)

    return video.info.start_pts
