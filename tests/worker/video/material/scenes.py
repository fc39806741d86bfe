"""Scenes made of portraits: people who come, go, dissolve into each other and stand in mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.material import BANK, SAMPLES
from tests.worker.video.material.written import SourceVideo, write

Image = NDArray[np.uint8]
BASE = Fraction(1, 30_000)
BACKDROP = (200, 205, 205)


@dataclass(frozen=True)
class Placed:
    """A portrait in a scene: who, the left upper corner and the side in pixels."""

    who: str
    x: int
    y: int
    side: int
    mirrored: bool = False
    turned: int = 0  # quarters, clockwise


def portrait(who: str) -> Image:
    """Return a demo portrait (as `ben_smile`) or one of the bank's composites (as `bank_0003`)."""
    folder = BANK if who.startswith("bank") else SAMPLES
    image = cv2.imread(str(folder / f"{who}.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def scene(
    *people: Placed, size: tuple[int, int] = (640, 360), backdrop: tuple[int, ...] = BACKDROP
) -> Image:
    """Return an image of `size` (width, height) with the people in it."""
    image = np.full((size[1], size[0], 3), backdrop, np.uint8)
    for one in people:
        face = portrait(one.who)
        face = face[:, ::-1] if one.mirrored else face
        face = np.rot90(face, -one.turned)
        small = cv2.resize(
            np.ascontiguousarray(face), (one.side, one.side), interpolation=cv2.INTER_AREA
        )
        image[one.y : one.y + one.side, one.x : one.x + one.side] = small

    return image


def dissolve(before: Image, after: Image, frames: int) -> list[Image]:
    """Return the frames of a slow change from one image to the other."""
    shares = np.linspace(0, 1, frames)
    return [np.asarray(cv2.addWeighted(before, 1 - s, after, s, 0), np.uint8) for s in shares]


def video_of(path: Path, images: Sequence[Image], fps: float, key_every: int = 250) -> Path:
    """Write images as a video with a key frame every `key_every` frames and nowhere else."""
    options = {
        "preset": "ultrafast",
        "crf": "8",
        "g": str(key_every),
        "keyint_min": str(key_every),
        "sc_threshold": "0",
    }

    frames = [VideoFrame.from_ndarray(image, "bgr24") for image in images]
    pts = [round(index * 30_000 / fps) for index in range(len(frames))]
    attributes = {"colorspace": 5}

    return write(path, SourceVideo(frames, pts, BASE, options=options, attributes=attributes))


def images_of(path: Path) -> list[Image]:
    """Return the decoded frames of a video."""
    with av.open(str(path)) as container:
        return [
            np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            for frame in container.decode(video=0)
        ]


def changes(before: Sequence[Image], after: Sequence[Image], place: Placed) -> list[float]:
    """Return by frame the mean difference in levels within the middle of a placed portrait."""
    margin = place.side * 3 // 10
    rows = slice(place.y + margin, place.y + place.side - margin)
    columns = slice(place.x + margin, place.x + place.side - margin)

    return [
        float(np.abs(a[rows, columns].astype(int) - b[rows, columns]).mean())
        for a, b in zip(before, after, strict=True)
    ]
