"""Stills: bytes or files to upright BGR arrays and back.

Every decode reads the header first and refuses what is too large before a pixel is unpacked. EXIF
orientation is applied and EXIF then dropped (it names places and devices); colour profiles are
kept, except CMYK's, which is applied.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from worker.media.media_errors import DamagedMedia, MediaError, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits

Bgr = NDArray[np.uint8]  # [H, W, 3], 0..255, blue first
Alpha = NDArray[np.uint8]  # [H, W], 255 opaque

# A whitelist: Pillow opens far more, among them formats that run programs (EPS) or other decoders.
DECODED: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
ENCODED: Final = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "avif": "AVIF",
    "gif": "GIF",
    "tiff": "TIFF",
    "bmp": "BMP",
}
# Pillow's decoders raise all of these on broken files
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError,
    LookupError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
_MAGIC: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
)
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


@dataclass(frozen=True)
class ImageHeader:
    """What the header says: format in lower case, size as shown (upright), and whether it moves."""

    format: str
    width: int
    height: int
    animated: bool


@dataclass(frozen=True)
class DecodedImage:
    """An upright still: `bgr` uint8 [H, W, 3], `alpha` uint8 [H, W] or None, and what decoding had
    to change.

    `notes` holds stable words for the job's report: `cmyk_converted`, `reduced_to_8_bit`,
    `first_frame_of_animation`.
    """

    bgr: Bgr
    alpha: Alpha | None
    format: str
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()


def probe_image(source: bytes | Path, limits: MediaLimits) -> ImageHeader:
    """What the file's header says, without decoding; raises as `decode_image` does."""
    with open_image(source, limits) as image:
        turned = image.getexif().get(0x0112, 1) >= 5
        width, height = image.size[::-1] if turned else image.size
        return ImageHeader(_name(image), width, height, bool(getattr(image, "is_animated", False)))


def decode_image(source: bytes | Path, limits: MediaLimits) -> DecodedImage:
    """The still in `source`, upright, in 8 bits; of an animation, its first frame.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge.
    """
    with open_image(source, limits) as image:
        notes = ["first_frame_of_animation"] if getattr(image, "is_animated", False) else []
        if image.mode.startswith("I") or any(
            ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
        ):
            notes.append("reduced_to_8_bit")
        if image.mode == "CMYK":
            notes.append("cmyk_converted")
        name, profile = _name(image), image.info.get("icc_profile")
        upright = _to_rgb(ImageOps.exif_transpose(image))
        if image.mode in {"CMYK", "L", "LA", "I", "I;16", "I;16B", "LAB"}:
            profile = None  # it describes the colour space that was just left
    bgr, alpha = to_arrays(upright)
    return DecodedImage(bgr, alpha, name, profile, tuple(notes))


def encode_image(
    bgr: Bgr,
    alpha: Alpha | None = None,
    *,
    format: str = "jpeg",
    quality: int = 92,
    icc_profile: bytes | None = None,
) -> bytes:
    """`bgr` [H, W, 3] (and `alpha` [H, W]) as a file of `format`; `quality` 1..100 where the format
    has one.

    A format without transparency shows the picture on white. Raises UnsupportedMedia for an unknown
    format.
    """
    if format not in ENCODED:
        raise UnsupportedMedia(
            f"images are written as {', '.join(sorted(ENCODED))}; not as {format[:16]}"
        )
    image = to_picture(bgr, alpha)
    if image.mode == "RGBA" and format in {"jpeg", "bmp"}:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    options: dict[str, object] = {"icc_profile": icc_profile} if icc_profile else {}
    if format in {"jpeg", "webp", "avif"}:
        options["quality"] = quality
    if format == "jpeg":
        options["subsampling"] = 0  # 4:2:0 would blur colour at the edge of the swapped region
    buffer = io.BytesIO()
    image.save(buffer, ENCODED[format], **options)
    return buffer.getvalue()


def fit_within(bgr: Bgr, max_side: int | None) -> Bgr:
    """`bgr`, or a smaller copy of the same shape whose longer side is `max_side` pixels."""
    height, width = bgr.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return bgr
    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def to_arrays(image: Image.Image) -> tuple[Bgr, Alpha | None]:
    """`image` (mode RGB or RGBA) as contiguous BGR and alpha arrays."""
    pixels = np.asarray(image)
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[:, :, 2::-1]), alpha


def to_picture(bgr: Bgr, alpha: Alpha | None) -> Image.Image:
    """The Pillow image (RGB, or RGBA with `alpha`) that `to_arrays` would take apart again."""
    rgb = bgr[:, :, ::-1]
    return Image.fromarray(rgb if alpha is None else np.dstack((rgb, alpha)))


@contextmanager
def open_image(source: bytes | Path, limits: MediaLimits) -> Iterator[Image.Image]:
    """The opened, size-checked image.

    Pillow's exceptions, here and in the block, come out as MediaErrors.
    """
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=DECODED
        ) as image:
            _check_size(image, limits)
            yield image
    except UnidentifiedImageError as error:
        raise _unreadable(source) from error
    except Image.DecompressionBombError as error:
        raise MediaTooLarge(f"an image may have at most {limits.image_pixels} pixels") from error
    except _BROKEN as error:
        raise DamagedMedia("the image is truncated or damaged") from error


def _check_size(image: Image.Image, limits: MediaLimits) -> None:
    width, height = image.size
    if width * height > limits.image_pixels or max(width, height) > limits.image_side_px:
        raise MediaTooLarge(
            f"the image is {width}x{height}; accepted are {limits.image_pixels} pixels and"
            f" {limits.image_side_px} a side"
        )


def _unreadable(source: bytes | Path) -> MediaError:
    if isinstance(source, bytes):
        start = source[:16]
    else:
        with source.open("rb") as file:
            start = file.read(16)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        return UnsupportedMedia(
            "HEIC needs a decoder that is not installed here; send JPEG, PNG, WebP or AVIF"
        )
    if start.startswith(_MAGIC) or start[8:12] in {b"WEBP", b"avif", b"avis"}:
        return DamagedMedia("the image is truncated or damaged")
    return UnsupportedMedia(f"not an image of a supported format ({', '.join(sorted(ENCODED))})")


def _name(image: Image.Image) -> str:
    return "jpeg" if image.format in {"JPEG", "MPO"} else str(image.format).lower()


def _to_rgb(image: Image.Image) -> Image.Image:
    """`image` as RGB or RGBA, 8 bits a channel, in sRGB when it comes from print."""
    if image.mode in {"RGB", "RGBA"} and "transparency" not in image.info:
        return image
    if image.mode == "CMYK":
        return _cmyk_to_srgb(image)
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip(levels >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnsupportedMedia("images of floating-point samples are not supported")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _cmyk_to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError:
        return image.convert("RGB")  # a broken profile is no reason to refuse the picture
    return converted if converted is not None else image.convert("RGB")
