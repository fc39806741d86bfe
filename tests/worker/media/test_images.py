"""Stills in and out: real files of every accepted kind, and the refusal of the others."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from worker.media.image_files import probe_image
from worker.media.images import decode_image, encode_image, fit_within
from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits, WorkerSettings

LIMITS = MediaLimits()
SAMPLES = Path(__file__).parents[3] / "service" / "samples"


def gradient(height: int = 48, width: int = 64) -> np.ndarray:
    """Return a smooth BGR image whose corners all differ."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.dstack((x, y, 255 - x)).astype(np.uint8)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def picture() -> Image.Image:
    return Image.fromarray(gradient()[:, :, ::-1])


@pytest.mark.parametrize("file_format", ["jpeg", "png", "webp", "avif", "tiff", "bmp"])
def test_every_still_format_comes_back_as_it_went_in(file_format: str) -> None:
    decoded = decode_image(encode_image(gradient(), file_format=file_format, quality=95), LIMITS)
    assert decoded.format == file_format
    assert decoded.bgr.shape == (48, 64, 3)
    assert np.abs(decoded.bgr.astype(int) - gradient()).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_exif_is_dropped(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    data = saved(picture(), "PNG", exif=exif)
    decoded = decode_image(data, LIMITS)
    header = probe_image(io.BytesIO(data), LIMITS)
    assert (
        decoded.bgr.shape[:2]
        == (header.height, header.width)
        == ((64, 48) if orientation >= 5 else (48, 64))
    )

    # PIL's transposes by orientation number, as the EXIF standard draws them
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }

    expected = picture().transpose(turn[orientation]) if orientation in turn else picture()
    assert np.array_equal(decoded.bgr, np.asarray(expected)[:, :, ::-1])
    written = Image.open(io.BytesIO(encode_image(decoded.bgr, file_format="jpeg")))
    assert not written.getexif()


def test_png_alpha_survives_the_round_trip() -> None:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    decoded = decode_image(encode_image(gradient(), alpha, file_format="png"), LIMITS)
    assert decoded.alpha is not None
    assert np.array_equal(decoded.alpha, alpha)
    assert np.array_equal(decoded.bgr, gradient())


def test_jpeg_shows_transparent_pixels_on_white() -> None:
    decoded = decode_image(
        encode_image(gradient(), np.zeros((48, 64), np.uint8), file_format="jpeg"), LIMITS
    )
    assert decoded.bgr.min() > 250


def test_cmyk_is_converted_and_said_so() -> None:
    decoded = decode_image(saved(picture().convert("CMYK"), "JPEG", quality=95), LIMITS)
    assert "cmyk_converted" in decoded.notes
    assert np.abs(decoded.bgr.astype(int) - gradient()).mean() < 12


def test_sixteen_bit_grey_and_colour_are_reduced_and_said_so() -> None:
    import cv2

    wide = (gradient().astype(np.uint16) << 8) | 0x7F
    for pixels in (wide, np.ascontiguousarray(wide[:, :, 0])):
        ok, data = cv2.imencode(".png", pixels)
        assert ok
        decoded = decode_image(data.tobytes(), LIMITS)
        assert "reduced_to_8_bit" in decoded.notes
        reference = gradient() if pixels.ndim == 3 else np.repeat(gradient()[:, :, :1], 3, axis=2)
        assert np.abs(decoded.bgr.astype(int) - reference).max() <= 1


def test_palette_with_transparency_keeps_it() -> None:
    image = picture().quantize(16)
    decoded = decode_image(saved(image, "PNG", transparency=0), LIMITS)
    assert decoded.alpha is not None
    assert decoded.alpha.min() == 0 < decoded.alpha.max()


def test_colour_profile_is_kept() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode_image(saved(picture(), "PNG", icc_profile=profile), LIMITS)
    again = Image.open(
        io.BytesIO(encode_image(decoded.bgr, file_format="jpeg", icc_profile=decoded.icc_profile))
    )
    assert again.info["icc_profile"] == profile


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
        clean = np.frombuffer(saved(picture(), file_format), np.uint8)
        for _ in range(60):
            broken = clean.copy()
            places = random.integers(0, len(broken), 8)
            broken[places] = random.integers(0, 256, 8)

            try:
                decode_image(broken.tobytes(), LIMITS)
            except (DamagedMedia, MediaTooLarge, UnsupportedMedia):
                continue


def test_an_unknown_output_format_is_refused() -> None:
    with pytest.raises(UnsupportedMedia):
        encode_image(gradient(), file_format="eps")


def test_fit_within_keeps_the_shape_and_never_enlarges() -> None:
    assert fit_within(gradient(), 32).shape == (24, 32, 3)
    assert fit_within(gradient(), 500) is not None
    assert fit_within(gradient(), 500).shape == (48, 64, 3)


def test_a_raised_limit_holds_in_the_worker_too(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.new("L", (7_000, 6_000), 128).save(buffer, "PNG")

    with pytest.raises(MediaTooLarge):
        decode_image(buffer.getvalue(), MediaLimits())

    monkeypatch.setenv("LIKENESS_MAX_IMAGE_PIXELS", "80000000")
    limits = WorkerSettings().media_limits
    assert Settings().media_limits == limits
    assert decode_image(buffer.getvalue(), limits).bgr.shape == (6_000, 7_000, 3)


@pytest.mark.parametrize("missing", [2, 40])
def test_a_jpeg_without_its_last_bytes_is_decoded_and_said(missing: int) -> None:
    data = saved(Image.effect_noise((256, 256), 90).convert("RGB"), "JPEG")
    decoded = decode_image(data[:-missing], LIMITS)
    assert "truncated" in decoded.notes
    assert decoded.bgr.shape == (256, 256, 3)


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
