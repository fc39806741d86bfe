from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.arrays import Affine, Mask, RgbImage
from models.inference.frames.affine import invert
from models.inference.frames.i420 import I420Frame, rgb_to_yuv, yuv_to_rgb
from models.inference.frames.image_frame import ImageFrame
from models.inference.frames.resampling import sample
from tests.models.demo_media import copied, of_planes, planes

TURNED: Affine = np.array([[0.5, 0.1, -150.0], [-0.1, 0.5, -60.0]])


def smooth(height: int, width: int, channels: int, seed: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(
        20, 235, (height // 16 + 1, width // 16 + 1, channels), np.uint8
    )
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def video_frame() -> I420Frame:
    image = smooth(720, 1280, 3, seed=1)
    half = np.asarray(cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA))
    return of_planes(np.ascontiguousarray(p) for p in (image[..., 0], half[..., 1], half[..., 2]))


@pytest.fixture
def face() -> RgbImage:
    return smooth(224, 224, 3, seed=2)


@pytest.fixture
def mask() -> Mask:
    mask = np.zeros((224, 224), np.float32)
    cv2.circle(mask, (112, 120), 70, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 5), np.float32)


def reference_paste(
    plane: NDArray[np.uint8], face: NDArray[np.uint8], mask: Mask, to_crop: Affine
) -> NDArray[np.uint8]:
    """Return the same by the book: the whole frame, in floating point."""
    size = (plane.shape[1], plane.shape[0])
    placed = cv2.warpAffine(
        face.astype(np.float32), invert(to_crop), size, borderMode=cv2.BORDER_REPLICATE
    )
    weight = cv2.warpAffine(mask, invert(to_crop), size)

    return np.rint(plane + (placed - plane) * weight).astype(np.uint8)


def test_pasting_into_planes_equals_the_whole_frame_in_floating_point(
    video_frame: I420Frame, face: RgbImage, mask: Mask
) -> None:
    before = copied(video_frame)
    video_frame.paste(face, mask, TURNED)
    luma = np.ascontiguousarray(cv2.transform(face, rgb_to_yuv("bt709", False))[..., 0])
    difference = np.abs(video_frame.y.astype(int) - reference_paste(before.y, luma, mask, TURNED))
    assert difference.max() <= 4
    assert difference.mean() < 0.3


def test_nothing_outside_the_returned_box_is_written(
    video_frame: I420Frame, face: RgbImage, mask: Mask
) -> None:
    before = copied(video_frame)
    box = video_frame.paste(face, mask, TURNED)
    assert box is not None
    left, top, right, bottom = (int(edge) for edge in box)

    for now, then, shrink in zip(planes(video_frame), planes(before), (1, 2, 2), strict=True):
        inside = np.zeros(now.shape, bool)
        inside[top // shrink : bottom // shrink, left // shrink : right // shrink] = True
        assert np.array_equal(now[~inside], then[~inside])
        assert not np.array_equal(now[inside], then[inside])


def test_an_empty_mask_leaves_the_frame_bit_identical(
    video_frame: I420Frame, face: RgbImage
) -> None:
    before = copied(video_frame)
    assert video_frame.paste(face, np.zeros((224, 224), np.float32), TURNED) is None
    assert all(
        np.array_equal(a, b) for a, b in zip(planes(video_frame), planes(before), strict=True)
    )


def test_a_face_beyond_the_edge_is_pasted_as_far_as_the_frame_goes(
    video_frame: I420Frame, face: RgbImage, mask: Mask
) -> None:
    at_corner: Affine = np.array([[0.5, 0, 112.0], [0, 0.5, 112.0]])
    assert video_frame.paste(face, mask, at_corner) is not None


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_survive_the_way_to_a_crop_and_back(
    matrix: Literal["bt601", "bt709"], full_range: bool, face: RgbImage
) -> None:
    there = cv2.transform(face, rgb_to_yuv(matrix, full_range))
    back = cv2.transform(there, yuv_to_rgb(matrix, full_range))
    assert np.abs(back.astype(int) - face).max() <= 3


def test_white_and_black_have_the_levels_of_limited_range() -> None:
    extremes = np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8)
    assert cv2.transform(extremes, rgb_to_yuv("bt709", False))[0].tolist() == [
        [235, 128, 128],
        [16, 128, 128],
    ]


def test_a_crop_much_smaller_than_its_source_does_not_alias() -> None:
    checkerboard = (np.indices((800, 800)).sum(axis=0) % 2 * 255).astype(np.uint8)
    crop = sample(checkerboard, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 72)
    assert np.abs(crop[4:68, 4:68].astype(int) - 127).max() < 8


def test_an_image_and_a_video_frame_give_the_same_crop(video_frame: I420Frame) -> None:
    packed = np.concatenate([plane.ravel() for plane in planes(video_frame)]).reshape(1080, 1280)
    limited_601 = replace(video_frame, matrix="bt601")
    image = ImageFrame(np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420), np.uint8))
    a = image.rgb_crop(TURNED, 224)
    b = limited_601.rgb_crop(TURNED, 224)
    # OpenCV repeats chroma where we interpolate it: on this much colour that is the difference.
    assert np.abs(a.astype(int) - b).mean() < 5


@pytest.mark.parametrize("full_range", [True, False])
def test_luma_is_cropped_alike(video_frame: I420Frame, full_range: bool) -> None:
    grey = np.full_like(video_frame.u, 128)
    frame = replace(video_frame, u=grey, v=grey, full_range=full_range)
    wanted = cv2.cvtColor(frame.rgb_crop(TURNED, 224, extend=True), cv2.COLOR_RGB2GRAY)
    assert np.abs(frame.luma_crop(TURNED, 224).astype(int) - wanted).max() <= 1


def test_a_crop_past_the_edge_is_black_or_the_edge_goes_on(video_frame: I420Frame) -> None:
    half_out: Affine = np.array([[1.0, 0, 112.0], [0, 1.0, 0]])
    assert video_frame.rgb_crop(half_out, 224)[:, :100].max() == 0
    extended = video_frame.rgb_crop(half_out, 224, extend=True)
    assert np.array_equal(extended[:, 20], extended[:, 100])
