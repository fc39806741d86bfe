"""Phones' photos: HEIC of one image or of tiles, and photos larger than what is decoded."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.heic import heic
from tests.material import SAMPLES
from worker.media.image_files import probe_image
from worker.media.images import decode_image
from worker.media.media_errors import DamagedMedia, MediaError, MediaTooLarge, UnsupportedMedia
from worker.media.media_types import sniff
from worker.settings import MediaLimits

LIMITS = MediaLimits()
# Written by libheif, which is no code of ours.
ADA = Path(__file__).with_name("ada.heic")


def scene(width: int = 320, height: int = 256) -> np.ndarray:
    """Return an image in which no turn looks like another: RGB uint8 [H, W, 3]."""
    across = np.linspace(20, 230, width)[None, :].repeat(height, 0)
    down = np.linspace(230, 20, height)[:, None].repeat(width, 1)
    return np.dstack((across, down, np.full((height, width), 90.0))).astype(np.uint8)


def off_by(decoded: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean difference of a BGR image to an RGB one, in levels."""
    assert decoded.shape == expected.shape
    return float(np.abs(decoded[:, :, ::-1].astype(int) - expected).mean())


def test_a_photo_that_another_writer_made_is_read() -> None:
    decoded = decode_image(ADA, LIMITS)
    with Image.open(SAMPLES / "ada_neutral.jpg") as image:
        expected = np.asarray(image.convert("RGB").resize((320, 320)))

    assert decoded.format == "heic"
    assert off_by(decoded.bgr, expected) < 3


@pytest.mark.parametrize("tile_px", [None, 64, 128])
def test_one_image_and_tiles_give_the_same_photo(tile_px: int | None) -> None:
    # No multiple of a tile: the last ones reach beyond the photo.
    pixels = scene(300, 200)
    data = heic(pixels, tile_px)
    assert sniff(data) == "image/heic"
    assert off_by(decode_image(data, LIMITS).bgr, pixels) < 2


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_turns_and_mirrors_are_applied(turns: int, mirror: int | None) -> None:
    pixels = scene()
    expected = np.rot90(pixels, turns)
    if mirror is not None:
        expected = expected[::-1] if mirror == 0 else expected[:, ::-1]

    data = heic(pixels, 64, turns=turns, mirror=mirror)
    header = probe_image(io.BytesIO(data), LIMITS)
    assert (header.height, header.width) == expected.shape[:2]
    assert off_by(decode_image(data, LIMITS).bgr, expected) < 2


def test_the_orientation_of_exif_is_not_applied_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    decoded = decode_image(heic(scene(), exif=exif.tobytes()), LIMITS)

    assert decoded.bgr.shape == scene().shape
    assert "exif_dropped" in decoded.notes


def test_a_colour_profile_is_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode_image(heic(scene(), colours=b"prof" + profile), LIMITS).icc_profile == profile


@pytest.mark.parametrize(("most", "factor"), [(320 * 256, 1), (30_000, 2), (6_000, 4)])
@pytest.mark.parametrize("kind", ["jpeg", "heic", "tiled heic"])
def test_a_large_photo_is_decoded_smaller(kind: str, most: int, factor: int) -> None:
    limits = MediaLimits(image_pixels=most, photo_pixels=100_000)
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "JPEG", quality=95)
    made = {"jpeg": buffer.getvalue(), "heic": heic(scene()), "tiled heic": heic(scene(), 64)}
    decoded = decode_image(made[kind], limits)
    header = probe_image(io.BytesIO(made[kind]), limits)

    assert decoded.bgr.shape[:2] == (256 // factor, 320 // factor) == (header.height, header.width)
    with Image.fromarray(scene()) as image:
        assert off_by(decoded.bgr, np.asarray(image.reduce(factor))) < 3
    said = {1: set(), 2: {"shrunk_to_half"}, 4: {"shrunk_to_quarter"}}[factor]
    assert {note for note in decoded.notes if note.startswith("shrunk")} == said


def test_beyond_the_bound_of_photos_it_is_refused() -> None:
    limits = MediaLimits(image_pixels=10_000, photo_pixels=60_000)
    with pytest.raises(MediaTooLarge):
        decode_image(heic(scene()), limits)


def test_tiles_that_are_larger_or_smaller_than_they_say_are_refused() -> None:
    for said_px in (16, 32, 2048):
        with pytest.raises(DamagedMedia):
            decode_image(heic(scene(), 256, said_px=said_px), LIMITS)


def test_a_photo_of_nothing_is_refused() -> None:
    for data in (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
        heic(scene(), primary=77),
        heic(scene())[:500],
        heic(scene(), 64)[:-2000],
    ):
        with pytest.raises((DamagedMedia, UnsupportedMedia)):
            decode_image(data, LIMITS)


def test_mutated_photos_only_ever_raise_media_errors() -> None:
    random = np.random.default_rng(5)
    began = time.perf_counter()
    clean = np.frombuffer(heic(scene(128, 96), 64), np.uint8)

    for _ in range(300):
        broken = clean.copy()
        # Most of them in the boxes, which are read by code of ours.
        places = random.integers(0, min(700, len(broken)), 4)
        broken[places] = random.integers(0, 256, 4)
        try:
            decode_image(broken.tobytes(), LIMITS)
        except MediaError:
            continue

    assert time.perf_counter() - began < 30
