"""Light as a ratio, skin, hair and sharpness, on drawn faces whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.inference.arrays import Landmarks, Mask, RgbImage, luma
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.hair import targets_own
from models.inference.texture.light.relighting import relit
from models.inference.texture.sharpness import as_sharp
from models.training.dataset import CANONICAL

SKIN = np.array([200, 150, 125], np.float32)


@pytest.fixture(scope="module")
def canonical() -> CanonicalFace:
    return CanonicalFace.load(CANONICAL)


@pytest.fixture(scope="module")
def mesh(canonical: CanonicalFace) -> Landmarks:
    return np.ascontiguousarray(canonical.mesh[:, :2])


@pytest.fixture(scope="module")
def where(canonical: CanonicalFace, mesh: Landmarks) -> Mask:
    return canonical.hull(mesh)


def face(colour: np.ndarray = SKIN, left: float = 1.0, noise: float = 2.0) -> RgbImage:
    """Even skin with a little texture, its left edge `left` times as light as its right one."""
    rng = np.random.default_rng(3)
    shade = np.linspace(left, 1.0, 224, dtype=np.float32)[None, :, None]
    grain = rng.normal(0, noise, (224, 224, 1))
    return np.asarray(np.clip(colour * shade + grain, 0, 255), np.uint8)


def inside(where: Mask) -> np.ndarray:
    return cv2.erode((where > 0.9).astype(np.uint8), np.ones((15, 15))) > 0


def test_a_face_takes_the_targets_light_from_a_side(mesh: Landmarks, where: Mask) -> None:
    target = face(SKIN * 0.8, left=0.6)

    after = relit(face(), target, where, mesh)

    apart = luma(after.astype(np.float32)) - luma(target.astype(np.float32))
    assert abs(cv2.GaussianBlur(apart, (0, 0), 6)[inside(where)]).max() < 8


def test_dark_skin_on_a_light_target_stays_of_a_skins_hue(mesh: Landmarks, where: Mask) -> None:
    dark = np.array([92, 62, 48], np.float32)

    after = relit(face(dark), face(), where, mesh)

    colour = after[inside(where)].mean(0)
    assert colour == pytest.approx(SKIN, abs=8)


def test_sheen_of_dark_skin_does_not_turn_blue_on_a_light_target(
    mesh: Landmarks, where: Mask
) -> None:
    brown = np.array([120, 78, 60], np.float32)
    shining = face(brown).astype(np.float32)
    shining[95:110, 95:130] += 45  # the light's own white, on a cheek

    after = relit(shining.astype(np.uint8), face(), where, mesh)

    red, _, blue = after[98:107, 100:125].reshape(-1, 3).mean(0)
    assert red > blue + 10


def bearded(mesh: Landmarks) -> RgbImage:
    image = face()
    nose = round(float(mesh[2, 1]))
    # Larger than what is left of the skin: most of a face can be beard.
    image[nose + 6 :] = (200, 196, 190)
    return image


@pytest.mark.parametrize("whose", ["source", "target"])
def test_a_white_beard_says_nothing_of_the_light(mesh: Landmarks, where: Mask, whose: str) -> None:
    beard = bearded(mesh)
    source, target = (beard, face()) if whose == "source" else (face(), beard)

    after = relit(source, target, where, mesh)

    jaw = round(float(mesh[152, 1])) - 20
    # Taken for skin, it is 29 off.
    assert np.abs(after[jaw, 90:134].astype(int) - source[jaw, 90:134]).mean() < 20


def test_a_grey_target_leaves_no_colour_in_a_face(mesh: Landmarks, where: Mask) -> None:
    coloured = face()
    coloured[90:110, 60:100] = (120, 60, 180)

    after = relit(coloured, face(np.full(3, 150, np.float32)), where, mesh)

    assert np.ptp(after[inside(where)].astype(int), axis=1).max() < 20  # of 120


def test_no_strength_leaves_a_face_as_it_is(mesh: Landmarks, where: Mask) -> None:
    assert np.array_equal(relit(face(), face(SKIN / 2), where, mesh, strength=0), face())


def test_hair_that_hangs_in_stays_the_targets_and_a_mole_does_not(mesh: Landmarks) -> None:
    top = int(mesh[10, 1])
    fringed = face()
    fringed[: top + 22, 90:134] = (50, 35, 30)
    mole = face()
    mole[top + 20 : top + 26, 109:115] = (50, 35, 30)

    assert targets_own(fringed, mesh)[top + 8, 112] > 0.9
    assert targets_own(fringed, mesh)[150, 112] == 0
    assert targets_own(mole, mesh)[top + 20 : top + 26, 105:119].max() == 0


def test_what_is_behind_the_jaw_is_not_painted(mesh: Landmarks) -> None:
    chin = int(mesh[152, 1])
    target = face()
    target[chin - 4 :] = (30, 60, 160)

    assert targets_own(target, mesh)[chin - 2, int(mesh[152, 0])] > 0.7


@pytest.mark.parametrize("blur", [1.0, 2.0, 3.0])
def test_a_face_is_no_sharper_than_a_blurred_target(where: Mask, blur: float) -> None:
    target = np.asarray(cv2.GaussianBlur(face(noise=12), (0, 0), blur), np.uint8)

    after = as_sharp(face(noise=12), target, where)

    assert detail(after, where) < 1.6 * detail(target, where)


def test_a_smooth_face_takes_the_targets_grain(where: Mask) -> None:
    # Cropping has sampled a target between its pixels: no crop's grain is white.
    grainy = np.asarray(cv2.GaussianBlur(face(noise=14), (0, 0), 0.7), np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(face(noise=0), (0, 0), 2), np.uint8)

    after = as_sharp(smooth, grainy, where)

    assert 0.8 < detail(after, where) / detail(grainy, where) < 1.8


def detail(image: RgbImage, where: Mask) -> float:
    grey = luma(image.astype(np.float32))
    return float(np.abs(grey - cv2.blur(grey, (3, 3)))[inside(where)].mean())


def test_brows_of_a_harsh_photo_are_less_deep_in_a_soft_light(mesh: Landmarks, where: Mask) -> None:
    harsh = face(SKIN * 0.7)
    harsh[80:92, 60:160] = (20, 14, 12)

    soft = relit(harsh, face(), where, mesh)
    same = relit(harsh, np.asarray(np.clip(harsh * 1.4, 0, 255), np.uint8), where, mesh)

    assert soft[86, 112].mean() > same[86, 112].mean()
