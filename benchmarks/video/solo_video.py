"""The solo video at any height, clean as it is or with a sensor's grain, as files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from tests.models.demo_media import SOLO

FRAMES = 150


def video_at(height: int, folder: Path, grain: float = 0.0, count: int = FRAMES) -> Path:
    """Return the solo video at this height, with a sensor's grain of so many levels.

    Clean, it costs an encoder little; few videos of cameras are as clean.
    """
    # The video itself has 720 lines, 150 frames and no grain.
    if height == 720 and not grain and count == FRAMES:
        return SOLO

    path = folder / f"solo{height}_{grain:.0f}.mp4"
    frames = decoded(SOLO, count, (height * 16 // 9, height))
    if grain:
        frames = grainy(frames, grain)

    # Nearly without loss, as a phone's own file is.
    return encoded(path, frames, Fraction(30), {"preset": "veryfast", "crf": "18"})


def decoded(path: Path, count: int, size: tuple[int, int]) -> Iterator[VideoFrame]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == count:
                return
            yield frame.reformat(*size, format="yuv420p")


def encoded(
    path: Path, frames: Iterator[VideoFrame], rate: Fraction, options: dict[str, str]
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate, options=options)
        for index, frame in enumerate(frames):
            if index == 0:
                stream.width = frame.width
                stream.height = frame.height

            frame.pts = index
            frame.time_base = 1 / rate
            # No frame type forced: the encoder decides, as it would in production.
            frame.pict_type = 0
            container.mux(stream.encode(frame))

        container.mux(stream.encode(None))

    return path


def grainy(frames: Iterator[VideoFrame], levels: float) -> Iterator[VideoFrame]:
    """Yield the frames with noise of `levels` standard deviation, new in every frame."""
    random = np.random.default_rng(0)
    for frame in frames:
        planes = np.asarray(frame.to_ndarray(), np.float32)
        noise = random.normal(0, levels, planes.shape).astype(np.float32)
        noisy = np.asarray(np.clip(planes + noise, 0, 255), np.uint8)
        yield VideoFrame.from_ndarray(noisy, "yuv420p")
