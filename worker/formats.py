"""The one table of output formats: what a result may be written as, and how it is named.

The contract's options, the API's checks, encoders, muxers and media types all read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

ImageFormat = Literal["png", "jpeg", "webp", "gif", "avif", "tiff", "bmp"]
AnimationFormat = Literal["gif", "webp", "apng"]
VideoFormat = Literal["mp4", "mov", "mkv", "webm"]
Codec = Literal["h264", "hevc", "vp9", "av1"]
# What a client may ask for; the other image formats only follow the input.
OutputFormat = Literal["png", "jpeg", "webp", "gif", "apng", "mp4", "mov", "mkv", "webm"]

# What a result is written as where nothing is asked for and the input's format is not written.
WRITTEN_FOR: Final[Mapping[str, ImageFormat]] = {"heic": "jpeg"}
IMAGE_FORMATS: Final[tuple[ImageFormat, ...]] = get_args(ImageFormat)
ANIMATION_FORMATS: Final[tuple[AnimationFormat, ...]] = get_args(AnimationFormat)
VIDEO_FORMATS: Final[tuple[VideoFormat, ...]] = get_args(VideoFormat)

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "apng": "image/apng",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/matroska",
    "webm": "video/webm",
}


def swap_kind(media_type: str, frames: int | None) -> Literal["swap_image", "swap_video"]:
    """Return which kind of job swaps in a file; `frames` is None where the file does not say."""
    # The pages of a TIFF are not frames of one scene: the first is the image.
    is_single = media_type == "image/tiff" or (frames or 1) == 1
    return "swap_image" if media_type.startswith("image/") and is_single else "swap_video"


@dataclass(frozen=True)
class Container:
    """How a video format is written: FFmpeg's muxer, and the codecs it holds, the default first."""

    muxer: str
    codecs: tuple[Codec, ...]


CONTAINERS: Final[Mapping[VideoFormat, Container]] = {
    "mp4": Container("mp4", ("h264", "hevc", "av1", "vp9")),
    "mov": Container("mov", ("h264", "hevc")),
    "mkv": Container("matroska", ("h264", "hevc", "vp9", "av1")),
    "webm": Container("webm", ("vp9", "av1")),
}
