"""The demo media as the engine takes it, and videos made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from models.inference.arrays import BgrImage, Plane
from models.inference.frames.i420 import I420Frame
from tests.material import SAMPLES

SOLO = SAMPLES / "solo_720p30.mp4"
DUET = SAMPLES / "duet_720p2997.mp4"


def portrait(name: str) -> BgrImage:
    """Return a demo portrait: ada, ben, cleo or dev, neutral or smiling."""
    image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def frames_of(video: Path, count: int | None = None, step: int = 1) -> list[I420Frame]:
    """Every `step`-th frame of a video, at most `count`, in memory of their own."""
    frames: list[I420Frame] = []
    with av.open(str(video)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index % step == 0:
                packed = np.asarray(decoded.to_ndarray(format="yuv420p"), np.uint8)
                frames.append(from_packed(packed, decoded.height))
            if count is not None and len(frames) == count:
                break

    return frames


def from_packed(packed: Plane, height: int) -> I420Frame:
    """Return the three planes of a packed I420 array [H * 3 / 2, W]."""
    width = packed.shape[1]
    chroma = height * packed.shape[1] // 4
    flat = packed[height:].ravel()
    u, v = (
        flat[start : start + chroma].reshape(height // 2, width // 2).copy()
        for start in (0, chroma)
    )

    return I420Frame(packed[:height].copy(), u, v)


def of_planes(planes: Iterable[Plane]) -> I420Frame:
    y, u, v = planes
    return I420Frame(y, u, v)


def copied(frame: I420Frame) -> I420Frame:
    return I420Frame(frame.y.copy(), frame.u.copy(), frame.v.copy(), frame.matrix, frame.full_range)


def planes(frame: I420Frame) -> tuple[Plane, Plane, Plane]:
    return frame.y, frame.u, frame.v


def sides_swapped(frame: I420Frame) -> I420Frame:
    """Return the frame with its left and right halves exchanged."""
    return of_planes(np.roll(plane, plane.shape[1] // 2, axis=1) for plane in planes(frame))


def crossing(frames: Sequence[I420Frame]) -> list[I420Frame]:
    """Two people change sides; the one from the left passes in front of the other."""
    return [_crossed(frame, index / (len(frames) - 1)) for index, frame in enumerate(frames)]


def with_noise(frame: I420Frame, levels: float, rng: np.random.Generator) -> I420Frame:
    """Return the frame with a sensor's noise of `levels` standard deviation in every plane."""
    return of_planes(
        np.clip(p + rng.normal(0, levels, p.shape), 0, 255).astype(np.uint8) for p in planes(frame)
    )


def _crossed(frame: I420Frame, share: float) -> I420Frame:
    crossed = []
    for plane in planes(frame):
        half = plane.shape[1] // 2
        shift = round(half * share)
        out = np.empty_like(plane)
        out[:] = plane[:4, :4].mean()
        out[:, half - shift : 2 * half - shift] = plane[:, half:]
        out[:, shift : shift + half] = plane[:, :half]
        crossed.append(out)

    return of_planes(crossed)
