"""A swapped face is no sharper and no grainier than the image or video it is put on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.inference.texture.blur import Detail, missing_blur, octaves_of
from models.inference.texture.sharpness import Focus, SteadyFocus
from tests.models.demo_media import portrait

ROUNDING = 0.15  # levels of second difference: crop and frame are bytes, each rounds once more

Spoil = Callable[[BgrImage], BgrImage]


def _gaussian(sigma: float) -> Spoil:
    return lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _moved(across: int, down: int) -> Spoil:
    return lambda image: np.asarray(cv2.blur(image, (across, down)), np.uint8)


def _enlarged(factor: int) -> Spoil:
    def spoil(image: BgrImage) -> BgrImage:
        size = image.shape[1::-1]
        small = cv2.resize(
            image, (size[0] // factor, size[1] // factor), interpolation=cv2.INTER_AREA
        )
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)

    return spoil


def _coded(quality: int) -> Spoil:
    def spoil(image: BgrImage) -> BgrImage:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return spoil


KINDS = {
    "slightly out of focus": _gaussian(1.5),
    "out of focus": _gaussian(3),
    "far out of focus": _gaussian(6),
    "moved across": _moved(13, 1),
    "moved down": _moved(1, 13),
    "enlarged": _enlarged(4),
    "coded coarsely": _coded(8),
}


@pytest.mark.parametrize("height", [300, 720])
@pytest.mark.parametrize("kind", KINDS)
def test_a_face_is_no_sharper_than_its_head(
    engine: FaceSwapEngine, ada: Identity, kind: str, height: int
) -> None:
    before = KINDS[kind](_resized(portrait("ben_neutral"), height))
    face = engine.detect(before)[0]

    after = engine.swap_frame(before, [Assignment(FaceSelector("largest"), ada)]).frame

    inside = _inner(face.landmarks, before.shape[:2])
    for axis in (0, 1):
        assert _detail(after, inside, axis) < 1.3 * _detail(before, inside, axis) + ROUNDING


def test_a_sharp_target_gets_a_sharp_face(engine: FaceSwapEngine, ada: Identity) -> None:
    before = _resized(portrait("ben_neutral"), 300)
    inside = _inner(engine.detect(before)[0].landmarks, before.shape[:2])

    after = engine.swap_frame(before, [Assignment(FaceSelector("largest"), ada)]).frame

    assert 0.7 < _detail(after, inside, 1) / _detail(before, inside, 1) < 1.3


@pytest.mark.parametrize("levels", [3.0, 8.0])
def test_a_blurred_and_grainy_target_gets_its_grain_back(
    engine: FaceSwapEngine, ada: Identity, levels: float
) -> None:
    soft = _gaussian(3)(_resized(portrait("ben_neutral"), 400)).astype(np.float32)
    noise = np.random.default_rng(2).normal(0, levels, soft.shape[:2])
    before = np.asarray(np.clip(soft + noise[..., None], 0, 255), np.uint8)
    inside = _inner(engine.detect(before)[0].landmarks, before.shape[:2])

    after = engine.swap_frame(before, [Assignment(FaceSelector("largest"), ada)]).frame

    assert 0.5 < _detail(after, inside, 1) / _detail(before, inside, 1) < 1.2


def test_a_wrinkled_face_on_a_smooth_soft_target_keeps_its_eyes() -> None:
    rng = np.random.default_rng(3)
    skin = cv2.GaussianBlur(rng.normal(0, 30, (128, 128)).astype(np.float32), (0, 0), 1.0)
    eyes = np.full((128, 128), 140, np.float32)
    for x in (40, 88):
        cv2.ellipse(eyes, (x, 50), (14, 6), 0, 0, 360, 60.0, -1)
    smooth = np.round(cv2.GaussianBlur(eyes + 0.2 * skin, (0, 0), 1.0))
    octaves = octaves_of(np.ones((128, 128), np.float32))

    blur = missing_blur(eyes + skin, Detail.of(smooth, octaves), octaves)

    assert (
        0.8 < max(blur) < 2.5
    )  # the target lacks 1; to make its skin as smooth would take 3 to 14


def test_a_focus_that_is_read_a_little_differently_in_every_frame_stays() -> None:
    steady = SteadyFocus()
    readings = np.random.default_rng(1).uniform(2.8, 3.2, 40)

    blurs = [steady.see(_focus(blur)).blur[0] for blur in readings]

    assert np.abs(np.diff(blurs[5:])).mean() < 0.3 * np.abs(np.diff(readings[5:])).mean()


def test_a_target_at_the_verge_of_soft_does_not_switch_a_face_between_two_looks() -> None:
    steady = SteadyFocus()
    read = {
        True: Focus(0.6, (0.0, 0.9), 0.63, 0.4, 1.0),
        False: Focus(0.6, (0.0, 0.0), 1.0, 0.4, 1.0),
    }
    contrasts = [steady.see(read[index // 3 % 2 == 0]).contrast for index in range(30)]

    assert np.abs(np.diff(contrasts)).max() < 0.1


def test_a_head_that_begins_to_move_is_blurred_at_once() -> None:
    steady = SteadyFocus()
    steady.see(_focus(1.0))

    assert steady.see(_focus(6.0)).blur[0] > 5.5


def _focus(blur: float) -> Focus:
    return Focus(detail=1.0, blur=(blur, blur), contrast=1.0, grain=0.0, scale=1.0)


def _resized(image: BgrImage, height: int) -> BgrImage:
    width = round(image.shape[1] * height / image.shape[0])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _inner(landmarks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where the face is surely swapped, bool [h, w]."""
    inside = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(landmarks).astype(np.int32)), 1)
    margin = shape[0] // 30 * 2 + 1
    return cv2.erode(inside, np.ones((margin, margin), np.uint8)) > 0


def _detail(image: BgrImage, inside: np.ndarray, axis: int) -> float:
    """Return the mean second difference of luma down (0) or across (1)."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    bent = np.abs(np.diff(grey, 2, axis=axis))
    within = inside[1:-1] if axis == 0 else inside[:, 1:-1]
    return float(bent[within].mean())
