"""Files that are no image, are damaged, or would cost too much: refused, and at once."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.material import SAMPLES
from tests.worker.media.drawn import coloured, saved
from worker.media.images import decode_image
from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits

LIMITS = MediaLimits()


def huge_png(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 14_200, 20_000, 65_535])
def test_a_pixel_bomb_is_refused_by_its_header_at_once(side: int) -> None:
    start = time.perf_counter()
    with pytest.raises(MediaTooLarge):
        decode_image(huge_png(side), LIMITS)
    assert time.perf_counter() - start < 0.5


def test_text_svg_and_playlists_are_not_images(tmp_path: Path) -> None:
    for text in (
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"#EXTM3U\n",
        b"push graphic-context",
        b"%!PS-Adobe-3.0",
    ):
        path = tmp_path / "named.jpg"
        path.write_bytes(text)

        for source in (text, path):
            with pytest.raises(UnsupportedMedia):
                decode_image(source, LIMITS)


def test_jpeg_xl_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedMedia, match="JPEG XL"):
        decode_image(b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a" + bytes(64), LIMITS)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_a_truncated_image_is_damaged_not_half_grey(file_format: str) -> None:
    data = saved(Image.effect_noise((256, 256), 90).convert("RGB"), file_format)
    with pytest.raises(DamagedMedia):
        decode_image(data[: len(data) // 2], LIMITS)


def test_mutated_images_only_ever_raise_media_errors() -> None:
    random = np.random.default_rng(7)
    for file_format in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"):
        clean = np.frombuffer(saved(coloured(), file_format), np.uint8)
        for _ in range(60):
            broken = clean.copy()
            places = random.integers(0, len(broken), 8)
            broken[places] = random.integers(0, 256, 8)

            try:
                decode_image(broken.tobytes(), LIMITS)
            except (DamagedMedia, MediaTooLarge, UnsupportedMedia):
                continue


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded() -> None:
    data = saved(Image.linear_gradient("L").resize((2000, 2000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    start = time.perf_counter()

    with pytest.raises(DamagedMedia, match="scans"):
        decode_image(data[:-2] + scan * 60 + b"\xff\xd9", LIMITS)

    assert time.perf_counter() - start < 1


def endless(scans: int, **saved: object) -> bytes:
    """Return a progressive JPEG whose last scan comes again and again."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((640, 640)).save(
        buffer, "JPEG", progressive=True
    )
    data = buffer.getvalue()
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * scans + b"\xff\xd9"


def test_scans_are_counted_in_a_tiff_of_jpegs(tmp_path: Path) -> None:
    path = tmp_path / "in.tiff"
    with Image.open(SAMPLES / "ben_neutral.jpg") as image:
        image.save(path, compression="jpeg", tiffinfo={278: 16})

    whole = path.read_bytes()
    assert decode_image(path, LIMITS).bgr.shape == (800, 800, 3)

    # One strip's data becomes a JPEG of its own with endless scans, at the end of the file.
    with Image.open(path) as image:
        strips = len(image.tag_v2[273])  # type: ignore[attr-defined]

    path.write_bytes(whole + endless(50 * strips + 1))
    with pytest.raises(DamagedMedia, match="scans"):
        decode_image(path, LIMITS)
