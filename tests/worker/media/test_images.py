"""Images in and out: real files of every accepted kind come back as they went in."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.worker.media.drawn import coloured, gradient, saved
from worker.media.image_files import probe_image
from worker.media.images import decode_image, encode_image, fit_within
from worker.media.media_errors import MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits, WorkerSettings

LIMITS = MediaLimits()


@pytest.mark.parametrize("file_format", ["jpeg", "png", "webp", "avif", "tiff", "bmp"])
def test_every_image_format_comes_back_as_it_went_in(file_format: str) -> None:
    decoded = decode_image(encode_image(gradient(), file_format=file_format, quality=95), LIMITS)
    assert decoded.format == file_format
    assert decoded.bgr.shape == (48, 64, 3)
    assert np.abs(decoded.bgr.astype(int) - gradient()).mean() < 3


@pytest.mark.parametrize("file_format", ["TIFF", "MPO"])
def test_images_beside_the_first_are_left_out_and_that_is_said(file_format: str) -> None:
    more = {"save_all": True, "append_images": [coloured().rotate(180)]}
    decoded = decode_image(saved(coloured(), file_format, **more), LIMITS)
    assert decoded.notes == ("further_images_left_out",)
    assert np.abs(decoded.bgr.astype(int) - gradient()).mean() < 3
    assert decode_image(saved(coloured(), file_format), LIMITS).notes == ()


def test_where_a_tiff_was_made_is_dropped_and_said() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0)})
    data = saved(coloured(), "TIFF", exif=exif.tobytes())
    assert decode_image(data, LIMITS).notes == ("exif_dropped",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_exif_is_dropped(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    data = saved(coloured(), "PNG", exif=exif)
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

    expected = coloured().transpose(turn[orientation]) if orientation in turn else coloured()
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
    decoded = decode_image(saved(coloured().convert("CMYK"), "JPEG", quality=95), LIMITS)
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
    image = coloured().quantize(16)
    decoded = decode_image(saved(image, "PNG", transparency=0), LIMITS)
    assert decoded.alpha is not None
    assert decoded.alpha.min() == 0 < decoded.alpha.max()


def test_colour_profile_is_kept() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode_image(saved(coloured(), "PNG", icc_profile=profile), LIMITS)
    again = Image.open(
        io.BytesIO(encode_image(decoded.bgr, file_format="jpeg", icc_profile=decoded.icc_profile))
    )
    assert again.info["icc_profile"] == profile


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
