"""The sample videos, and what tests look at in a video: frames, times, packets."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from tests.material import SAMPLES
from worker.settings import MediaLimits

SOLO = SAMPLES / "solo_720p30.mp4"
DUET = SAMPLES / "duet_720p2997.mp4"
LIMITS = MediaLimits()


def frames_of(
    path: Path, *, count: int | None = None, size: tuple[int, int] | None = None
) -> list[VideoFrame]:
    """Return the first `count` decoded frames, scaled to `size` (width, height)."""
    frames: list[VideoFrame] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(frame if size is None else frame.reformat(*size, format="yuv420p"))
            if count is not None and len(frames) >= count:
                break

    return frames


def times_of(path: Path) -> list[Fraction]:
    """Seconds at which each frame is shown, exactly."""
    with av.open(str(path)) as container:
        return [Fraction(frame.pts) * frame.time_base for frame in container.decode(video=0)]


def packets_of(path: Path, kind: str) -> list[list[tuple[float | None, bytes]]]:
    """For each track of `kind` its packets: time in seconds, and bytes."""
    tracks: dict[int, list[tuple[float | None, bytes]]] = {}
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        for packet in container.demux(streams) if streams else ():
            if packet.size:
                time = None if packet.pts is None else float(packet.pts * packet.time_base)
                tracks.setdefault(packet.stream_index, []).append((time, bytes(packet)))

    return [tracks[index] for index in sorted(tracks)]


def rgb(path: Path, index: int = 0) -> np.ndarray:
    """Frame `index` as RGB float, turned as a player would show it."""
    frame = frames_of(path, count=index + 1)[index]
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90).astype(np.float32)


def mean_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference outside the filter's corner, in grey levels."""
    difference = np.abs(actual[24:, 24:] - expected[24:, 24:])
    return float(difference.mean())
