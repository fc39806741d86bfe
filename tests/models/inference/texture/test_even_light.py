"""A photo lit from one side makes a texture that is lit from none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.mesh_points import BROWS
from models.inference.texture.light.even_light import evenly_lit, out_of_shadow

FACE = np.ones((224, 224), np.float32)
MESH = np.full((468, 2), 112, np.float32)  # eyes, brows and lips are a point in the middle
SKIN = (200, 150, 130)


def _lit(left: float, right: float) -> NDArray[np.uint8]:
    light = np.linspace(left, right, 224)[None, :, None]
    return np.asarray(np.full((224, 224, 3), SKIN) * light, np.uint8)


def _sides(texture: NDArray[np.uint8]) -> tuple[float, float]:
    return float(texture[:, 30:60].mean()), float(texture[:, 164:194].mean())


def test_a_dark_side_comes_nearer_to_the_other() -> None:
    before, other = _sides(_lit(0.3, 1.0))
    assert before < 0.6 * other

    dark, bright = _sides(evenly_lit(_lit(0.3, 1.0), FACE, MESH))

    assert dark / bright > 1.2 * before / other
    assert before < dark < bright < other


def test_most_of_another_hue_on_one_side_is_taken_out() -> None:
    texture = _lit(1.0, 1.0)
    texture[:, :112, 0] = texture[:, :112, 0] // 3  # red is missing: a blue lamp

    even = evenly_lit(texture, FACE, MESH).astype(float)

    apart = even[:, 40, 0] / even[:, 183, 0]
    assert apart.min() > 0.5


def test_a_face_that_is_round_stays_as_it_is() -> None:
    texture = _lit(0.9, 1.0)
    assert np.abs(evenly_lit(texture, FACE, MESH).astype(int) - texture).max() <= 1


def test_a_brow_that_one_side_raises_stays_dark() -> None:
    mesh = MESH.copy()
    mesh[list(BROWS[0])] = np.stack([np.linspace(50, 90, len(BROWS[0])), [60.0] * len(BROWS[0])], 1)
    texture = _lit(1.0, 1.0)
    texture[56:64, 50:90] = (60, 45, 40)

    assert evenly_lit(texture, FACE, mesh)[60, 70].mean() < 55


def test_what_is_small_stays_on_its_side() -> None:
    texture = _lit(1.0, 1.0)
    texture[100:104, 60:64] = (90, 60, 50)  # a mole

    even = evenly_lit(texture, FACE, MESH)

    assert even[102, 62].mean() < 80
    assert even[102, 161].mean() > 150


def test_a_side_in_deep_shadow_is_the_lit_ones_mirror_image() -> None:
    texture = _lit(1.0, 1.0)
    texture[90:100, 150:160] = (90, 60, 50)  # a mole on the lit side
    texture[:, :100] = texture[:, :100] // 4

    lit = out_of_shadow(texture, FACE, MESH)

    assert np.abs(lit[40:180, 30:60].astype(int) - texture[40:180, ::-1][:, 30:60]).max() <= 2
    assert lit[95, 68, 0] < 120
    assert np.abs(lit[:, 124:].astype(int) - texture[:, 124:]).max() <= 3


@pytest.mark.parametrize("dark", [slice(0, 100), slice(95, 105)])
def test_soft_shade_and_a_noses_shadow_belong_to_a_face(dark: slice) -> None:
    texture = _lit(1.0, 1.0)
    share = 0.65 if dark.start == 0 else 0.2
    texture[:, dark] = (texture[:, dark] * share).astype(np.uint8)

    assert np.array_equal(out_of_shadow(texture, FACE, MESH), texture)
