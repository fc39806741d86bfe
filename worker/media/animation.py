"""Animated GIF, WebP, APNG and AVIF: frames with their own durations, in and out, by Pillow."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Final

from PIL import Image

from worker.formats import AnimationFormat
from worker.media.image_files import check_size, open_image, probe_image
from worker.media.images import Alpha, Bgr, to_arrays, to_pillow
from worker.media.media_errors import MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits

# Browsers show a frame of 10 ms or less for 100 ms, and keep all that are longer.
SHOWN_TOO_LONG_MS: Final = 10
_SHOWN_AS_MS: Final = 100.0
MIN_FRAME_MS: Final = 20  # the shortest that every browser keeps and that GIF's 10 ms can say
# By the format that was read: AVIF takes minutes to write, and browsers show WebP alike.
_WRITTEN_AS: Final[Mapping[str, AnimationFormat]] = {
    "gif": "gif",
    "webp": "webp",
    "png": "apng",
    "avif": "webp",
}
_UNIT_MS: Final[dict[AnimationFormat, int]] = {"gif": 10, "webp": 1, "apng": 1}


@dataclass(frozen=True)
class AnimatedFrame:
    """One whole image, whatever part of it the file stores: uint8 [H, W, 3], alpha [H, W] or
    None.
    """

    bgr: Bgr
    alpha: Alpha | None
    time_s: float
    duration_ms: float


@dataclass(frozen=True)
class AnimationInfo:
    """Format it is written in, size, and how often it plays: 0 for ever, None for once."""

    format: AnimationFormat
    width: int
    height: int
    loop: int | None


def probe_animation(path: Path, limits: MediaLimits) -> AnimationInfo | None:
    """Return what the animation's header says; None for a single image.

    Raises as `decode_image` does.
    """
    with path.open("rb") as file:
        header = probe_image(file, limits)

    if not header.animated:
        return None
    with open_image(path, limits) as image:
        loop = image.info.get("loop")

    if header.format not in _WRITTEN_AS:
        raise UnsupportedMedia(
            f"animated {header.format} is not supported; send GIF, WebP, APNG or AVIF"
        )

    return AnimationInfo(_WRITTEN_AS[header.format], header.width, header.height, loop)


def read_animation(path: Path, limits: MediaLimits) -> Generator[AnimatedFrame, None, None]:
    """Yield the frames in order.

    Raises MediaTooLarge as soon as the limits are passed, DamagedMedia at a broken frame.
    """
    with open_image(path, limits) as image:
        width, height = image.size
        most = most_frames(width, height, limits)

        if image.format != "GIF":
            # A GIF would be read to its end to count.
            _check_count(int(getattr(image, "n_frames", 1)), most)

        index = 0
        time_s = 0.0

        while _seek(image, index):
            _check_count(index + 1, most)
            check_size(image, limits)  # a frame of a GIF may reach beyond its canvas
            bgr, alpha = to_arrays(image.convert("RGBA"))
            # After the conversion: WebP knows it only once the frame is decoded.
            declared_ms = float(image.info.get("duration") or 0.0)
            duration_ms = declared_ms if declared_ms > SHOWN_TOO_LONG_MS else _SHOWN_AS_MS
            yield AnimatedFrame(bgr=bgr, alpha=alpha, time_s=time_s, duration_ms=duration_ms)
            time_s += duration_ms / 1e3
            index += 1


def write_animation(
    path: Path,
    file_format: AnimationFormat,
    frames: Sequence[AnimatedFrame],
    *,
    loop: int | None = 0,
    quality: int = 80,
) -> None:
    """Write the frames; GIF keeps durations to 10 ms without drifting, the others to 1 ms.

    Frames must be `paced`, or browsers play them slower.
    """
    opaque = all(frame.alpha is None or frame.alpha.min() == 255 for frame in frames)
    images = [to_pillow(frame.bgr, None if opaque else frame.alpha) for frame in frames]
    durations = whole_durations([frame.duration_ms for frame in frames], _UNIT_MS[file_format])
    options: dict[str, object] = {"duration": durations}

    if loop is not None:
        options["loop"] = loop
    if file_format == "webp":
        options |= {"quality": quality, "method": 4, "minimize_size": False}
    if file_format == "gif":
        options |= {"disposal": 2 if not opaque else 1}

    images[0].save(
        path,
        "PNG" if file_format == "apng" else file_format.upper(),
        save_all=True,
        append_images=images[1:],
        **options,
    )


def most_frames(width: int, height: int, limits: MediaLimits) -> int:
    """Return how many frames an animation of this size may have."""
    return min(limits.image_frames, limits.animation_pixels // max(1, width * height))


def paced(frames: Sequence[AnimatedFrame], file_format: AnimationFormat) -> list[AnimatedFrame]:
    """Return the frames at a rate that browsers keep: none is shown for less than 20 ms.

    A frame that follows too soon is left out, and the one before it shown for longer, so that the
    whole lasts as long as before.
    """
    unit_ms = _UNIT_MS[file_format]
    starts = list(accumulate((frame.duration_ms for frame in frames), initial=0.0))
    grid = [round(start / unit_ms) * unit_ms for start in starts]
    kept: list[int] = []

    for index in range(len(frames)):
        if not kept or grid[index] - grid[kept[-1]] >= MIN_FRAME_MS:
            kept.append(index)

    if len(kept) > 1 and grid[-1] - grid[kept[-1]] < MIN_FRAME_MS:
        kept.pop()

    ends = [*kept[1:], len(frames)]
    return [
        replace(frames[index], duration_ms=float(max(MIN_FRAME_MS, grid[end] - grid[index])))
        for index, end in zip(kept, ends, strict=True)
    ]


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
