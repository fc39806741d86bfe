"""How far brows are raised on a placed face."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.arrays import RgbImage
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.mesh_points import LEFT_BROW, RIGHT_BROW
from models.inference.texture.brows import GAIN
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.resting_face import RestingFace
from models.inference.texture.texture_outline import texture_mesh
from models.training.dataset import CANONICAL

RAISED_PX = 5.0


@pytest.fixture(scope="module")
def canonical() -> CanonicalFace:
    return CanonicalFace.load(CANONICAL)


@pytest.fixture
def rest(canonical: CanonicalFace) -> NDArray[np.float32]:
    return np.ascontiguousarray(canonical.mesh[:, :2])


@pytest.fixture
def raised(rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """The left brow raised, the right one at rest."""
    mesh = rest.copy()
    mesh[list(LEFT_BROW), 1] -= RAISED_PX
    return mesh


def test_one_brow_that_is_raised_is_raised_further(
    canonical: CanonicalFace, rest: NDArray[np.float32], raised: NDArray[np.float32]
) -> None:
    brows = canonical.brows
    expression = brows.heights(raised) - brows.heights(rest)
    moved = brows.with_expression(raised, expression)

    np.testing.assert_allclose(expression, [RAISED_PX, 0], atol=1e-3)
    further = raised - moved
    np.testing.assert_allclose(further[list(LEFT_BROW), 1], GAIN * RAISED_PX, rtol=1e-3)
    assert not further[list(RIGHT_BROW)].any()
    assert not further[[point for lids in LIDS for point in lids]].any()
    assert not further[:, 0].any()


def test_a_mesh_is_left_as_it_is_where_brows_rest(
    canonical: CanonicalFace, rest: NDArray[np.float32]
) -> None:
    np.testing.assert_array_equal(canonical.brows.with_expression(rest, np.zeros(2)), rest)


def test_a_video_shows_a_raised_brow_further_up_than_the_mesh_reads(
    canonical: CanonicalFace, rest: NDArray[np.float32], raised: NDArray[np.float32]
) -> None:
    """Where the brow's texel is shown: over its place at rest by more than the mesh moved."""
    target: RgbImage = np.full((224, 224, 3), 150, np.uint8)
    resting = RestingFace()
    for _ in range(30):
        still = canonical.place(target, rest, target, rest, resting=resting).where

    lively = canonical.place(target, rest, target, raised, resting=resting).where
    up = _row_of(canonical, still) - _row_of(canonical, lively)

    assert RAISED_PX < up < (1 + GAIN) * RAISED_PX + 1


def _row_of(canonical: CanonicalFace, where: NDArray[np.float32]) -> float:
    """Return at which height a crop shows the middle of the left brow's texels."""
    own = texture_mesh(canonical)[list(LEFT_BROW)].mean(0)
    far = np.linalg.norm(where - own, axis=-1)
    weight = np.exp(-(far**2))
    return float((weight.sum(axis=1) * np.arange(len(where))).sum() / weight.sum())
