"""What a container says of its video stream before a frame is decoded, held to the limits."""

from __future__ import annotations

from dataclasses import dataclass

from av.container import InputContainer
from av.video.stream import VideoStream

from worker.media.media_errors import MediaTooLarge
from worker.settings import MediaLimits


@dataclass(frozen=True)
class Declared:
    """What the container says of its video stream before a frame is decoded."""

    width: int
    height: int
    frames: int | None
    duration_s: float | None


def declared(container: InputContainer, stream: VideoStream) -> Declared:
    """Return what the opened file declares about `stream`."""
    context = stream.codec_context
    duration_s = duration_of(container, stream)
    rate = stream.average_rate or stream.guessed_rate

    return Declared(
        width=context.width,
        height=context.height,
        frames=stream.frames or round((duration_s or 0.0) * float(rate or 0)) or None,
        duration_s=duration_s,
    )


def check_limits(size: Declared, limits: MediaLimits) -> None:
    """Raise MediaTooLarge for a video that declares more than `limits` allow."""
    width = size.width
    height = size.height

    if width * height > limits.video_pixels or max(width, height) > limits.video_side_px:
        raise MediaTooLarge(
            f"the video is {width}x{height}; accepted are {limits.video_pixels} pixels and"
            f" {limits.video_side_px} a side"
        )

    check_frames(size.frames or 0, limits)
    if (size.duration_s or 0.0) > limits.video_duration_s:
        raise MediaTooLarge(f"the video is longer than {limits.video_duration_s:.0f} s")


def check_frames(count: int, limits: MediaLimits) -> None:
    """Raise MediaTooLarge for a video of more frames than `limits` allow."""
    if count > limits.video_frames:
        raise MediaTooLarge(
            f"the video has {count} frames; at most {limits.video_frames} are accepted"
        )


def duration_of(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the seconds that the stream, or else its container, says it lasts; None if neither."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)

    # FFmpeg counts a container's length in microseconds.
    return container.duration / 1_000_000 if container.duration is not None else None
