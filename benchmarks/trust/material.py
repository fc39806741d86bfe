"""Images and videos of composite people that the trust bars measure on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.material import BANK, SAMPLES

Image = NDArray[np.uint8]

# The bank's crops are 288 px; a mark is meant for images of usual size.
SIDE_PX = 800


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median CPU time of one call, in milliseconds."""
    times = []
    for _ in range(repeats):
        # CPU time, which other processes do not lengthen.
        began = time.process_time()
        work()
        times.append(time.process_time() - began)

    return float(np.median(times)) * 1e3


def read(path: Path) -> Image:
    """Return an image file as BGR."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(image, np.uint8)


def sample_images(count: int = 44) -> list[Image]:
    """Return demo photos, frames of the demo videos and composites, 720 px and larger."""
    images = [read(path) for path in sorted(SAMPLES.glob("*.jpg"))]
    # One frame a second of each video, beside portraits and faces of the bank.
    for video in sorted(SAMPLES.glob("*.mp4")):
        images += frames(video, every=25)[:8]

    # Spread over the bank's 186 files.
    for path in sorted(BANK.glob("*.jpg"))[:: max(1, 186 // (count - len(images)))]:
        face = cv2.resize(read(path), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        images.append(np.asarray(face, np.uint8))

    return images[:count]


def frames(video: Path, every: int = 1) -> list[Image]:
    """Return every n-th frame of a video as BGR."""
    with av.open(str(video)) as container:
        decoded = container.decode(video=0)
        return [
            np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            for number, frame in enumerate(decoded)
            if number % every == 0
        ]


def lumas(video: Path) -> list[Image]:
    """Return the luma planes of a video."""
    with av.open(str(video)) as container:
        return [
            # A copy: the decoder reuses the memory of its frames.
            np.array(frame.reformat(format="yuv420p").to_ndarray()[: frame.height])
            for frame in container.decode(video=0)
        ]


def luma(image: Image) -> Image:
    """Return the luma plane of a BGR image."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def encode(planes: Sequence[Image], path: Path, *options: str) -> Path:
    """Write luma planes as a grey H.264 video."""
    height, width = planes[0].shape
    size = f"{width}x{height}"
    # Grey planes: the mark lies in luma alone.
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", size]
    command += ["-r", "25", "-i", "-", "-pix_fmt", "yuv420p", *options, str(path)]
    subprocess.run(command, input=b"".join(plane.tobytes() for plane in planes), check=True)
    return path


def transcode(source: Path, path: Path, *options: str) -> Path:
    """Write `source` again with ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(path)]
    # Bounded: a transcode that hangs must not hold up the bars behind it.
    subprocess.run(command, check=True, timeout=300)
    return path


def cpu_name() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"
