"""The invisible mark: it survives what images go through, and says nothing without its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.material import SAMPLES
from worker.provenance.mark import VideoMark, draw_in_image
from worker.provenance.mark_code import MarkCode
from worker.provenance.mark_reader import MarkReader

MARK_ID = 0x5EED_CAFE
Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def code() -> MarkCode:
    return MarkCode(key=b"k" * 32)


def photo(name: str = "ben_neutral") -> Image:
    image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def luma(image: NDArray[Any]) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def as_jpeg(image: Image, quality: int) -> Image:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def halved(image: Image) -> Image:
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: as_jpeg(image, 50),
        lambda image: as_jpeg(halved(image), 75),
        lambda image: image[40:-40, 40:-40],
    ],
    ids=["unchanged", "JPEG 50", "half size and JPEG 75", "cropped by a tenth"],
)
def test_the_id_is_read_back(code: MarkCode, change: Callable[[Image], Image]) -> None:
    image = photo()
    assert draw_in_image(image, code.tile(MARK_ID))
    assert MarkReader(code).read_image(luma(change(image))).mark_id == MARK_ID


def test_the_mark_cannot_be_seen(code: MarkCode) -> None:
    image = photo()
    draw_in_image(image, code.tile(MARK_ID))
    assert cv2.PSNR(image, photo()) > 44


@pytest.mark.parametrize("name", ["ada_neutral", "cleo_smile", "dev_neutral"])
def test_unmarked_images_hold_no_mark(code: MarkCode, name: str) -> None:
    reading = MarkReader(code).read_image(luma(photo(name)))
    assert not reading.found
    assert reading.mark_id is None


@pytest.mark.parametrize("public_sync", [False, True])
def test_another_installations_mark_is_never_read_as_ours(public_sync: bool) -> None:
    image = photo()
    draw_in_image(image, MarkCode(key=b"a" * 32, public_sync=public_sync).tile(MARK_ID))
    reading = MarkReader(MarkCode(key=b"b" * 32, public_sync=public_sync)).read_image(luma(image))
    assert reading.mark_id is None
    assert reading.found == public_sync


def test_sixteen_bit_images_and_alpha_are_marked_in_place(code: MarkCode) -> None:
    wide = photo().astype(np.uint16) * 257
    image = np.dstack([wide, np.full(wide.shape[:2], 40_000, np.uint16)])
    assert draw_in_image(image, code.tile(MARK_ID))
    assert (image[..., 3] == 40_000).all()
    seen = (image[..., :3] >> 8).astype(np.uint8)
    assert MarkReader(code).read_image(luma(seen)).mark_id == MARK_ID


def test_small_images_get_a_stronger_mark_and_tiny_ones_none(code: MarkCode) -> None:
    small = np.asarray(cv2.resize(photo(), (320, 320), interpolation=cv2.INTER_AREA), np.uint8)
    assert draw_in_image(small, code.tile(MARK_ID))
    assert MarkReader(code).read_image(luma(small)).mark_id == MARK_ID

    tiny = np.zeros((150, 400, 3), np.uint8)
    assert not draw_in_image(tiny, code.tile(MARK_ID))
    assert not tiny.any()


def test_segments_with_their_own_shifts_add_up_to_one_reading(code: MarkCode) -> None:
    plane = luma(cv2.resize(photo(), (1280, 720)))
    places = []

    for segment in range(3):
        frames = [plane.copy() for _ in range(2)]
        mark = VideoMark(code.tile(MARK_ID, segment))

        for frame in frames:
            mark.draw(frame)

        places.append(frames)

    reading = MarkReader(code).read_frames(places)
    assert reading.mark_id == MARK_ID
    assert code.tile(MARK_ID, 0).shift != code.tile(MARK_ID, 1).shift


def test_random_evidence_is_never_an_id(code: MarkCode) -> None:
    draw = np.random.default_rng(7)
    tiles = (draw.standard_normal((64, 64)).astype(np.float32) for _ in range(300))
    assert all(code.read(tile) is None for tile in tiles)
