"""Animated GIF, WebP and APNG: frames with their own durations, in and out, through Pillow."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from worker.media.images import (
    Alpha,
    Bgr,
    open_image,
    probe_image,
    to_arrays,
    to_picture,
)
from worker.media.media_errors import MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits

AnimationFormat = Literal["gif", "webp", "apng"]

MEDIA_TYPES: Final[dict[AnimationFormat, str]] = {
    "gif": "image/gif",
    "webp": "image/webp",
    "apng": "image/apng",
}
_SHOWN_AS_MS: Final = 100  # what browsers make of a duration of 10 ms or less


@dataclass(frozen=True)
class AnimatedFrame:
    """One whole picture, whatever part of it the file stores: uint8 [H, W, 3], alpha [H, W] or
    None.
    """

    bgr: Bgr
    alpha: Alpha | None
    time_s: float
    duration_ms: float


@dataclass(frozen=True)
class AnimationInfo:
    """Format, size, and how often it plays: 0 for ever, None for once."""

    format: AnimationFormat
    width: int
    height: int
    loop: int | None


def probe_animation(path: Path, limits: MediaLimits) -> AnimationInfo | None:
    """What the animation's header says; None for a still. Raises as `decode_image` does."""
    header = probe_image(path, limits)
    if not header.animated:
        return None
    with open_image(path, limits) as image:
        loop = image.info.get("loop")
    formats: dict[str, AnimationFormat] = {"gif": "gif", "webp": "webp", "png": "apng"}
    if header.format not in formats:
        raise UnsupportedMedia(f"animated {header.format} is not supported; send GIF, WebP or APNG")
    return AnimationInfo(formats[header.format], header.width, header.height, loop)


def read_animation(path: Path, limits: MediaLimits) -> Generator[AnimatedFrame, None, None]:
    """The frames in order.

    Raises MediaTooLarge as soon as the limits are passed, DamagedMedia at a broken frame.
    """
    with open_image(path, limits) as image:
        width, height = image.size
        most = most_frames(width, height, limits)
        if image.format != "GIF":
            _check_count(
                int(getattr(image, "n_frames", 1)), most
            )  # a GIF would be read to its end to count
        index, time_s = 0, 0.0
        while _seek(image, index):
            _check_count(index + 1, most)
            bgr, alpha = to_arrays(image.convert("RGBA"))
            duration_ms = float(
                image.info.get("duration") or 0.0
            )  # WebP knows it only once the frame is decoded
            yield AnimatedFrame(bgr, alpha, time_s, duration_ms)
            time_s += (duration_ms if duration_ms > 10 else _SHOWN_AS_MS) / 1e3
            index += 1


def write_animation(
    path: Path,
    format: AnimationFormat,
    frames: Sequence[AnimatedFrame],
    *,
    loop: int | None = 0,
    quality: int = 80,
) -> None:
    """Write the frames; GIF keeps durations to 10 ms without drifting, the others to 1 ms."""
    opaque = all(frame.alpha is None or frame.alpha.min() == 255 for frame in frames)
    pictures = [to_picture(frame.bgr, None if opaque else frame.alpha) for frame in frames]
    unit_ms = 10 if format == "gif" else 1
    options: dict[str, object] = {
        "duration": whole_durations([frame.duration_ms for frame in frames], unit_ms)
    }
    if loop is not None:
        options["loop"] = loop
    if format == "webp":
        options |= {"quality": quality, "method": 4, "minimize_size": False}
    if format == "gif":
        options |= {"disposal": 2 if not opaque else 1}
    pictures[0].save(
        path,
        "PNG" if format == "apng" else format.upper(),
        save_all=True,
        append_images=pictures[1:],
        **options,
    )


def most_frames(width: int, height: int, limits: MediaLimits) -> int:
    """Return how many frames an animation of this size may have."""
    return min(limits.image_frames, limits.animation_pixels // max(1, width * height))


def whole_durations(durations_ms: Sequence[float], unit_ms: int) -> list[int]:
    """Durations as multiples of `unit_ms`, rounded so that the sum so far is never off by more than
    half a unit.
    """
    exact = written = 0.0
    rounded = []
    for duration in durations_ms:
        exact += duration
        whole = round((exact - written) / unit_ms) * unit_ms
        written += whole
        rounded.append(int(whole))
    return rounded


def _seek(image: Image.Image, index: int) -> bool:
    try:
        image.seek(index)
    except EOFError:
        return False
    return True


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise MediaTooLarge(f"the animation has more than {most} frames of this size")
