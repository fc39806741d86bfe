"""Each kernel gives what numpy and OpenCV give, to a level or so, and believes no wrong shape."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest

from models.inference.arrays import to_network
from models.inference.engine import FaceSwapEngine
from models.inference.frames.resampling import blend
from models.inference.native.kernels import Kernels
from models.inference.texture.canonical_shape import with_rim
from models.inference.texture.fine_detail import NONE, _fine
from models.inference.texture.light.relighting import Light
from models.inference.texture.sharpness import Focus, _strength, _with_grain
from models.inference.texture.triangle_raster import NOWHERE, rasterise
from tests.models.inference.native.conftest import in_numpy

RNG = np.random.default_rng(7)


def image(size: int = 224, sigma: float = 3.0) -> np.ndarray:
    noise = RNG.integers(0, 256, (size, size, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), sigma)
    return cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)


def test_a_network_gets_the_same_planes(native: Kernels) -> None:
    picture = image()
    with in_numpy():
        expected = to_network(picture)

    assert np.array_equal(native.planes(picture), expected)
    assert np.array_equal(native.planes(picture[::2]), expected[:, :, ::2])  # rows lie apart


def test_a_mesh_is_drawn_alike(native: Kernels, engine: FaceSwapEngine) -> None:
    canonical = engine.painter.canonical
    turn = np.array([[0.33, 0.06], [-0.05, 0.36]], np.float32)
    points = with_rim(canonical.front @ turn, canonical.outline)
    texels = with_rim(canonical.texels, canonical.outline)
    # One face too many is seen from behind, part of it outside the map.
    triangles = np.concatenate([canonical.triangles_and_rim, [[0, 1, 2], [2, 1, 0]]])

    drawn = rasterise(points - 8, triangles, texels, 84)
    with in_numpy():
        expected = rasterise(points - 8, triangles, texels, 84)

    both = (drawn[..., 0] != NOWHERE) & (expected[..., 0] != NOWHERE)
    assert np.count_nonzero(both) > 2500
    # A pixel on an edge may belong to either side of it.
    assert np.count_nonzero((drawn[..., 0] == NOWHERE) != (expected[..., 0] == NOWHERE)) <= 3
    assert np.abs(drawn - expected)[both].max() < 0.05


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_blended_in_place_alike(native: Kernels, channels: int) -> None:
    whole = np.ascontiguousarray(image(300)[..., :channels].squeeze())
    face = np.ascontiguousarray(image(300)[..., :channels].squeeze())[10:210, 5:195]
    levels = (image()[:200, :190, 0] // 2).astype(np.uint8)
    other = whole.copy()

    blend(whole[40:240, 20:210], face, levels)
    with in_numpy():
        blend(other[40:240, 20:210], face, levels)

    assert np.array_equal(whole, other)


def test_light_falls_alike(native: Kernels) -> None:
    drawn = image()
    gain = np.exp(cv2.resize(image(8)[..., :3], (56, 56)) / 255 - 0.5).astype(np.float32)
    tones = np.linspace(1.3, 0.8, 256, dtype=np.float32)
    colours = np.array([[1.2, -0.1, -0.1], [0.1, 0.8, 0.1], [0, 0.1, 0.9]], np.float32)

    light = Light(colours, tones, gain)

    lit = light.on(drawn)
    with in_numpy():
        expected = light.on(drawn)

    # The numpy path rounds twice on its way.
    assert np.abs(lit.astype(int) - expected).max() <= 3
    assert cv2.PSNR(lit, expected) > 50


def test_detail_is_added_alike(native: Kernels) -> None:
    face = image(sigma=1.0)
    target = image(sigma=0.7)
    skin = np.ones((128, 128), np.bool_)
    focus = Focus(detail=1.7, blur=(0.0, 0.0), contrast=1.0, grain=0.6, scale=1.0)

    sharp = focus.sharpened(face)
    grainy = _with_grain(image(), target, skin, 0.6, 1.0)
    with in_numpy():
        assert np.array_equal(focus.sharpened(face), sharp)
    assert np.abs(sharp.astype(int) - face).max() > 5
    assert grainy.shape == face.shape


def test_grain_is_added_alike(native: Kernels) -> None:
    face = image()
    target = image(sigma=0.7)
    skin = np.ones((128, 128), np.bool_)

    grainy = _with_grain(face, target, skin, 0.6, 1.0)
    with in_numpy():
        expected = _with_grain(face, target, skin, 0.6, 1.0)

    assert np.array_equal(grainy, expected)
    assert not np.array_equal(grainy, face)


@pytest.mark.parametrize("where", ["odd", "even", "none"])
def test_the_strength_of_grain_is_the_median(where: str) -> None:
    grey = image(sigma=0.8)[..., 0]
    soft = cv2.blur(grey, (3, 3))
    skin = RNG.random((128, 128)) < 0.3
    flat = np.flatnonzero(skin)
    skin.ravel()[
        flat[: {"odd": len(flat) % 2 == 0, "even": len(flat) % 2, "none": len(flat)}[where]]
    ] = False
    apart = np.abs(grey.astype(int) - soft)[48:176, 48:176][skin]

    assert _strength(grey, soft, skin) == (np.median(apart) if len(apart) else 0.0)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("texels", [2, 3])
def test_a_band_is_taken_from_the_same_places(native: Kernels, factor: int, texels: int) -> None:
    band = image(224 * texels, sigma=2.0)[..., 0]
    grid = np.stack(np.meshgrid(np.arange(224), np.arange(224)), -1).astype(np.float32)
    where = (
        grid * 1.1
        - 9
        + cv2.GaussianBlur(RNG.normal(0, 9, grid.shape), (0, 0), 4).astype(np.float32)
    )
    where[:20] = NOWHERE

    taken = _fine(band, where[5:190, 20:200], factor)
    with in_numpy():
        expected = _fine(band, where[5:190, 20:200], factor)

    assert taken.shape == expected.shape
    assert np.abs(taken.astype(int) - expected).max() <= 4  # a 32nd of a pixel beside
    assert cv2.PSNR(taken, expected) > 50
    assert (taken[: factor * 10] == NONE).all()


def test_a_band_multiplies_alike(native: Kernels) -> None:
    face = image()
    band = image()[..., 0].copy()
    factors = np.exp((np.arange(256) - NONE) / 400).astype(np.float32)
    by = cv2.LUT(band, factors)
    expected = cv2.multiply(face, cv2.merge([by, by, by]), dtype=cv2.CV_8U)

    native.times_band(face, band, factors)

    assert np.abs(face.astype(int) - expected).max() <= 1


def test_what_does_not_fit_is_refused(native: Kernels) -> None:
    picture = image()
    triangle = np.array([[0, 1, 3]])
    corners = np.zeros((3, 2), np.float32)

    with pytest.raises(ValueError, match="no vertex"):
        native.rasterised(corners, triangle, corners, 84, edge=1e-3, nowhere=-1.0)
    with pytest.raises(ValueError, match="different sizes"):
        native.blend(picture, picture[:100], picture[..., 0])
    with pytest.raises(ValueError, match="one piece"):
        native.blend(picture[..., 0], picture[..., 0], picture[..., 0].copy())
    with pytest.raises(ValueError, match="not uint8"):
        native.planes(picture.astype(np.float32))
    with pytest.raises(ValueError, match="multiple"):
        native.lit(picture, np.ones((55, 55, 3)), np.ones(256), np.eye(3), 255.0)
    with pytest.raises((ValueError, ctypes.ArgumentError)):
        native.times_band(picture[::2], picture[::2, :, 0], np.ones(256, np.float32))
