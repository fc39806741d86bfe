"""Untrusted image files: opened by Pillow within limits, and what their headers say.

Every open reads the header first and refuses what is too large, or takes too long, before a pixel
is unpacked.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image, UnidentifiedImageError

from worker.media.decoding_costs import check_scans, count_gif_frames, count_strips
from worker.media.heif.image import HeifImageFile
from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.media.media_types import refusal, sniff_file
from worker.settings import MediaLimits

Source = bytes | Path | BinaryIO

# Pillow's names. A whitelist: it opens far more, among them formats that run programs (EPS).
DECODED: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
}
# Formats of cameras, whose decoders can make an image smaller without making it whole first.
_SHRINKABLE: Final = frozenset({"JPEG", "MPO", "HEIF"})
_SHRUNK_BY: Final = (1, 2, 4)  # a quarter of 640 megapixels is 40
_COUNTED: Final = frozenset({"PNG", "WEBP", "AVIF"})  # by their headers, at no cost
_ANIMATED: Final = _COUNTED | {"GIF"}  # MPO and TIFF hold several images, not frames
_EXIF_PARTS: Final = (0x8769, 0x8825)  # of a TIFF: what its camera says, and where it was
_ORIENTATION: Final = 0x0112  # EXIF; 5 and above swap the sides
# Pillow's decoders raise all of these on broken files
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError,
    LookupError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip

Image.MAX_IMAGE_PIXELS = None  # Pillow's own bound would undercut a raised limit of ours


@dataclass(frozen=True)
class ImageHeader:
    """What the header says: format in lower case, size as shown (upright), frames (1 for an image).

    The size is that in which the image is worked on: a photo of more pixels than are decoded is
    made smaller while it is.

    `frames` may be a header's claim; a reader stops where they end.
    """

    format: str
    width: int
    height: int
    frames: int

    @property
    def animated(self) -> bool:
        return self.frames > 1


def probe_image(file: BinaryIO, limits: MediaLimits) -> ImageHeader:
    """Return what the open file's header says, without decoding.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge; the latter also for an animation of more
    frames than are allowed.
    """
    with open_image(file, limits) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        width, height = image.size[::-1] if turned else image.size
        name = format_name(image)
        frames = int(getattr(image, "n_frames", 1)) if image.format in _COUNTED else 1

    if name == "gif":
        frames = count_gif_frames(file, limits.image_frames)
    if frames > limits.image_frames:
        raise MediaTooLarge(f"the animation has more than {limits.image_frames} frames")

    return ImageHeader(format=name, width=width, height=height, frames=frames)


@contextmanager
def open_image(source: Source, limits: MediaLimits) -> Iterator[Image.Image]:
    """Yield the opened, size-checked image.

    Pillow's exceptions, here and in the block, come out as MediaErrors.
    """
    try:
        with _opened(source) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of tags that a broken file has
            media_type, head = sniff_file(file)

            if media_type is None:
                raise UnsupportedMedia(refusal(head))
            if media_type not in DECODED:
                raise UnsupportedMedia("the file is a video, not an image")
            if media_type == "image/jpeg":
                check_scans(file)
            with Image.open(file, formats=(DECODED[media_type],)) as image:
                check_size(image, limits)
                _shrink(image, limits)
                if image.info.get("compression") == "jpeg":  # a TIFF, of one JPEG for each strip
                    check_scans(file, strips=count_strips(image))
                yield image
    except UnidentifiedImageError as error:
        raise DamagedMedia("the image is truncated or damaged") from error
    except _BROKEN as error:
        raise DamagedMedia("the image is truncated or damaged") from error


def check_size(image: Image.Image, limits: MediaLimits) -> None:
    """Raise MediaTooLarge for an image, or a frame, of more pixels than are allowed."""
    width, height = image.size
    is_shrinkable = image.format in _SHRINKABLE
    most = max(limits.image_pixels, limits.photo_pixels if is_shrinkable else 0)
    if width * height > most or max(width, height) > limits.image_side_px:
        raise MediaTooLarge(
            f"the image is {width}x{height}; accepted are {most} pixels and"
            f" {limits.image_side_px} a side"
        )


def _shrink(image: Image.Image, limits: MediaLimits) -> None:
    """Have a camera's photo decoded at a half or a quarter where it has too many pixels."""
    width, height = image.size
    factor = shrunk_by(width, height, limits)
    if factor == 1 or image.format not in _SHRINKABLE:
        return
    if isinstance(image, HeifImageFile):
        image.shrink(factor)
    else:
        image.draft(None, (width // factor, height // factor))
    image.info["shrunk_by"] = factor


def shrunk_by(width: int, height: int, limits: MediaLimits) -> int:
    """Return by which factor sides become shorter so that `image_pixels` are enough."""
    for factor in _SHRUNK_BY:
        if -(-width // factor) * -(-height // factor) <= limits.image_pixels:
            return factor

    return _SHRUNK_BY[-1]


def is_animated(image: Image.Image) -> bool:
    """Return whether the opened image has frames that follow each other in time."""
    return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))


def has_further_images(image: Image.Image) -> bool:
    """Return whether the opened file has images beside the first that are no frames of it: pages of
    a TIFF, a camera's second view or its gain map.
    """
    return image.format not in _ANIMATED and bool(getattr(image, "is_animated", False))


def has_exif(image: Image.Image) -> bool:
    """Return whether the opened image has EXIF metadata, for a TIFF beyond its own tags."""
    tags = image.getexif()
    # Those tags, such as its size, count as EXIF for Pillow.
    return any(tag in tags for tag in _EXIF_PARTS) if image.format == "TIFF" else bool(tags)


def format_name(image: Image.Image) -> str:
    """Return the image's format in lower case, as the API names it."""
    names = {"MPO": "jpeg", "HEIF": "heic"}
    return names.get(str(image.format), str(image.format).lower())


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """Yield `source` as an open file at its start; one that was handed in stays open."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    elif isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        source.seek(0)
        yield source
