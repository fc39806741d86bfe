"""Images: bytes or files to upright BGR arrays and back.

EXIF orientation is applied and EXIF then dropped (it names places and devices); colour profiles are
kept, except CMYK's, which is applied. Transparency is kept where the output's format has it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from worker.formats import IMAGE_FORMATS
from worker.media.image_files import (
    Source,
    format_name,
    has_exif,
    has_further_images,
    is_animated,
    open_image,
)
from worker.media.media_errors import DamagedMedia, UnsupportedMedia
from worker.settings import MediaLimits

Bgr = NDArray[np.uint8]  # [H, W, 3], 0..255, blue first
Alpha = NDArray[np.uint8]  # [H, W], 255 opaque

# Of its rows a truncated JPEG may lack; with more, somebody would get a half grey image.
MAX_MISSING_ROWS: Final = 0.1
_SHRUNK_NOTES: Final = {2: "shrunk_to_half", 4: "shrunk_to_quarter"}
# Modes that become RGB, for which their colour profile no longer holds.
_CONVERTED_MODES: Final = frozenset({"CMYK", "L", "LA", "I", "I;16", "I;16B", "LAB"})


@dataclass(frozen=True)
class DecodedImage:
    """An upright image: `bgr` uint8 [H, W, 3], `alpha` uint8 [H, W] or None, and what decoding had
    to change.

    `notes` holds stable words for the job's report: `cmyk_converted`, `reduced_to_8_bit`,
    `first_frame_of_animation`, `further_images_left_out`, `exif_dropped`, `truncated`,
    `shrunk_to_half`, `shrunk_to_quarter`.
    """

    bgr: Bgr
    alpha: Alpha | None
    format: str
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()


def decode_image(source: Source, limits: MediaLimits) -> DecodedImage:
    """Return the image in `source`, upright, in 8 bits; of an animation, its first frame.

    A JPEG that lacks its last bytes is decoded as browsers do, up to a tenth of its rows.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge.
    """
    try:
        return _decode(source, limits)
    except DamagedMedia:
        completed = _completed_jpeg(source)
        if completed is None:
            raise

        decoded = _decode(completed, limits)
        if _flat_rows(decoded.bgr) > MAX_MISSING_ROWS * decoded.bgr.shape[0]:
            raise

        return replace(decoded, notes=(*decoded.notes, "truncated"))


def _decode(source: Source, limits: MediaLimits) -> DecodedImage:
    with open_image(source, limits) as image:
        notes = ["first_frame_of_animation"] if is_animated(image) else []
        deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))

        if image.mode.startswith("I") or deep:
            notes.append("reduced_to_8_bit")
        if image.mode == "CMYK":
            notes.append("cmyk_converted")
        if has_exif(image):
            notes.append("exif_dropped")
        if has_further_images(image):
            notes.append("further_images_left_out")
        if factor := image.info.get("shrunk_by"):
            notes.append(_SHRUNK_NOTES[factor])

        name = format_name(image)
        profile = image.info.get("icc_profile")
        upright = _to_rgb(ImageOps.exif_transpose(image))

        if image.mode in _CONVERTED_MODES:
            profile = None  # it describes the colour space that was just left

    bgr, alpha = to_arrays(upright)
    return DecodedImage(bgr=bgr, alpha=alpha, format=name, icc_profile=profile, notes=tuple(notes))


def _completed_jpeg(source: Source) -> bytes | None:
    """Return a JPEG with an end mark behind it: what its decoder then lacks it paints flat."""
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, Path):
        data = source.read_bytes()
    else:
        source.seek(0)
        data = source.read()

    return data + b"\xff\xd9" if data.startswith(b"\xff\xd8\xff") else None


def _flat_rows(bgr: Bgr) -> int:
    """Return how many rows at the bottom show nothing: what a decoder paints for missing data."""
    textured = np.flatnonzero(np.ptp(bgr[:, :, 1], axis=1) > 2)  # grey levels; sensors add more
    last = int(textured[-1]) if len(textured) else -1
    return int(bgr.shape[0]) - 1 - last


def encode_image(
    bgr: Bgr,
    alpha: Alpha | None = None,
    *,
    file_format: str = "jpeg",
    quality: int = 92,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return `bgr` [H, W, 3] (and `alpha` [H, W]) as the bytes of a file.

    `quality` is 1..100 where the format has one; in a format without transparency the image is on
    white. Raises UnsupportedMedia for an unknown format.
    """
    if file_format not in IMAGE_FORMATS:
        raise UnsupportedMedia(
            f"images are written as {', '.join(IMAGE_FORMATS)}; not as {file_format[:16]}"
        )

    image = to_pillow(bgr, alpha)
    if image.mode == "RGBA" and file_format in {"jpeg", "bmp"}:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

    options: dict[str, object] = {"icc_profile": icc_profile} if icc_profile else {}
    if file_format in {"jpeg", "webp", "avif"}:
        options["quality"] = quality
    if file_format == "jpeg":
        options["subsampling"] = 0  # 4:2:0 would blur colour at the edge of the swapped region

    buffer = io.BytesIO()
    image.save(buffer, file_format.upper(), **options)
    return buffer.getvalue()


def fit_within(bgr: Bgr, max_side: int | None) -> Bgr:
    """Return `bgr`, or a smaller copy of the same shape whose longer side is `max_side` pixels."""
    height, width = bgr.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return bgr

    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def to_arrays(image: Image.Image) -> tuple[Bgr, Alpha | None]:
    """Return `image` (mode RGB or RGBA) as contiguous BGR and alpha arrays."""
    pixels = np.asarray(image)
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[:, :, 2::-1]), alpha


def to_pillow(bgr: Bgr, alpha: Alpha | None) -> Image.Image:
    """Return the Pillow image (RGB, or RGBA with `alpha`); `to_arrays` takes it apart again."""
    rgb = bgr[:, :, ::-1]
    return Image.fromarray(rgb if alpha is None else np.dstack((rgb, alpha)))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return `image` as RGB or RGBA, 8 bits a channel, in sRGB when it comes from print."""
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
        return image.convert("RGB")  # a broken profile is no reason to refuse the image

    return converted if converted is not None else image.convert("RGB")
