"""What is looked at in files of unknown origin: enough to read a mark, and never much more."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.material import SAMPLES
from worker.provenance.mark import draw_in_image
from worker.provenance.mark_code import MarkCode
from worker.provenance.mark_reader import MOST_ELONGATED, MOST_SHORT_SIDE_PX, legible
from worker.provenance.names import mark_name
from worker.video.examination import examine

KEY = b"an installation's key, 32 bytes."
REQUEST = {"keys": [KEY.hex()], "anchors": [], "signers": [], "public_sync": False}


def examined(data: bytes) -> dict[str, Any]:
    return dict(examine(io.BytesIO(data), REQUEST))


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, image)[1].tobytes())


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((89, 4000), None),
        ((90, 400), (90, 400)),
        ((100, 40_000), (100, 100 * MOST_ELONGATED)),
        ((4000, 6000), (MOST_SHORT_SIDE_PX, 1620)),
    ],
)
def test_what_is_searched_is_bounded(shape: tuple[int, int], seen: tuple[int, int] | None) -> None:
    plane = legible(np.zeros(shape, np.uint8))
    assert (None if plane is None else plane.shape) == seen


def test_a_mark_in_a_large_image_is_read_from_a_smaller_one() -> None:
    image = cv2.resize(cv2.imread(str(SAMPLES / "ben_neutral.jpg")), (3200, 3200))
    draw_in_image(image, MarkCode(KEY).tile(0xBEEF))
    assert examined(encoded(image, ".jpg"))["mark_ids"] == [mark_name(0xBEEF)]


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1), (4_000_000, 1)])
def test_lines_and_points_are_not_searched(size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    found = examined(file.getvalue())
    assert (found["mark_ids"], found["hashes"]) == ([], [])


def test_no_more_frames_are_decoded_than_are_affordable() -> None:
    frames = [Image.new("P", (5000, 5000), number) for number in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert len(examined(file.getvalue())["hashes"]) == 2


def test_formats_that_cannot_be_uploaded_are_not_opened() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\nshowpage\n"
    assert examined(postscript)["hashes"] == []
