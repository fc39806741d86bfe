"""Where a film is cut into segments: at its own key frames, found by reading packets without
decoding them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import av

from worker.media.media_errors import MediaTooLarge
from worker.video.probe import VideoInfo, VideoLimits, open_video, probe_video

SEGMENT_S: Final = 5.0
MISCOUNTED: Final = 2  # AVI counts a frame or two that are not there
ONE_SEGMENT_S: Final = 12.0  # below this, spreading a film over workers costs more than it saves


@dataclass(frozen=True)
class PlannedSegment:
    """Frames with `start` <= pts < `stop` in the source's time base, `frames` of them by the
    packets' account.
    """

    index: int
    start: int
    stop: int | None
    frames: int


@dataclass(frozen=True)
class FilmPlan:
    """How a film is cut; equal for equal files, so that whoever plans again cuts at the same
    places.

    `truncated` says that the container promises more than the file holds.
    """

    segments: tuple[PlannedSegment, ...]
    truncated: bool = False

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.segments)

    def to_json(self) -> dict[str, Any]:
        """For the job's record; `from_json` reads it back."""
        rows = [[segment.start, segment.stop, segment.frames] for segment in self.segments]
        return {"segments": rows, "truncated": self.truncated}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FilmPlan:
        rows = enumerate(record["segments"])
        return cls(tuple(PlannedSegment(index, *row) for index, row in rows), record["truncated"])


def plan_film(
    source: Path,
    limits: VideoLimits,
    *,
    segment_s: float = SEGMENT_S,
    whole_below_s: float = ONE_SEGMENT_S,
) -> FilmPlan:
    """Cut at key frames about `segment_s` apart; a film shorter than `whole_below_s` stays whole.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge.
    """
    info = probe_video(source, limits)
    account = _read_account(source, limits)
    seconds = float((account.last - info.start_pts) * info.time_base)
    starts = [info.start_pts]
    if seconds >= whole_below_s:
        starts += _cuts(account.keys, info.start_pts, round(segment_s / info.time_base))
    edges = pairwise(
        [0, *(bisect_left(account.times, start) for start in starts[1:]), len(account.times)]
    )
    rows = zip(starts, [*starts[1:], None], edges, strict=True)
    segments = (
        PlannedSegment(i, start, stop, b - a) for i, (start, stop, (a, b)) in enumerate(rows)
    )
    missing = (info.frames or 0) - account.packets
    return FilmPlan(tuple(segments), missing > MISCOUNTED or _ends_early(info, seconds))


@dataclass(frozen=True)
class _Account:
    """What the packets say without being decoded: sorted times of shown frames, key frames' times,
    packet count.
    """

    times: list[int]
    keys: list[int]
    packets: int

    @property
    def last(self) -> int:
        return self.times[-1] if self.times else 0


def _read_account(source: Path, limits: VideoLimits) -> _Account:
    times: list[int] = []
    keys: list[int] = []
    packets = 0
    with open_video(source, limits) as (container, stream), suppress(av.FFmpegError):
        for packet in container.demux(stream):
            packets += packet.size > 0
            if packet.size and packet.pts is not None and not packet.is_discard:
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
            if packets > limits.max_frames:
                raise MediaTooLarge(f"the video has more than {limits.max_frames} frames")
    return _Account(sorted(times), sorted(keys), packets)


def _cuts(keys: Sequence[int], start: int, length: int) -> list[int]:
    """Key frames at least `length` after the cut before."""
    cuts = [start]
    for key in keys:
        if key - cuts[-1] >= length:
            cuts.append(key)
    return cuts[1:]


def _ends_early(info: VideoInfo, seconds: float) -> bool:
    """Whether a container that counts no frames (Matroska, for one) declares at least a second more
    than there is.
    """
    return info.frames is None and info.duration_s is not None and seconds + 1.0 < info.duration_s
