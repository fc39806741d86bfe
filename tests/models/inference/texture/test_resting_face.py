"""What counts as the shape of a head, and what as expression."""

from __future__ import annotations

import numpy as np
import pytest

from models.inference.arrays import RgbImage
from models.inference.mesh_points import CLOSE_LIPS
from models.inference.texture.canonical_shape import LIP_GAIN
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.resting_face import (
    FIRST_FRAMES,
    MEMORY_FRAMES,
    RestingFace,
    RunningMean,
)
from models.inference.texture.texture_outline import texture_mesh
from models.training.dataset import CANONICAL


@pytest.fixture(scope="module")
def canonical() -> CanonicalFace:
    return CanonicalFace.load(CANONICAL)


def test_the_mean_follows_slowly_and_starts_at_the_first_frame() -> None:
    resting = RunningMean()
    still = np.zeros((468, 2), np.float32)
    smiling = np.ones((468, 2), np.float32)

    assert resting.see(still)[0, 0] == 0
    for _ in range(MEMORY_FRAMES):
        resting.see(still)

    assert resting.see(smiling)[0, 0] == pytest.approx(1 / MEMORY_FRAMES, rel=0.01)
    resting.reset()
    assert resting.see(smiling)[0, 0] == 1
    assert resting.see(still)[0, 0] == pytest.approx(1 - 1 / (FIRST_FRAMES + 1))


def test_a_raised_brow_stays_raised_in_a_video(canonical: CanonicalFace) -> None:
    """The texel shown at the raised brow is nearer to the brow when the face at rest is known."""
    rest = np.ascontiguousarray(canonical.mesh[:, :2])
    raised = rest.copy()
    brow = [63, 105, 66, 107, 65, 52]
    raised[brow, 1] -= 6
    target: RgbImage = np.full((224, 224, 3), 150, np.uint8)
    texture = target.copy()
    known = RestingFace()

    for _ in range(60):
        known.proportions.see(canonical.proportions(rest))
        known.brows.see(canonical.brows.heights(rest))

    x, y = np.rint(raised[brow].mean(0)).astype(int)
    own = texture_mesh(canonical)[brow].mean(0)
    alone = canonical.place(texture, rest, target, raised).where[y, x]
    informed = canonical.place(texture, rest, target, raised, resting=known).where[y, x]

    assert abs(informed - own).max() < abs(alone - own).max()


def test_a_mouth_that_widens_in_a_video_is_drawn_wider_than_read(canonical: CanonicalFace) -> None:
    """The corners' texels are shown further apart than the mesh's corners, by `LIP_GAIN`."""
    rest = np.ascontiguousarray(canonical.mesh[:, :2])
    wide = rest.copy()
    lips = list(CLOSE_LIPS)
    wide[lips, 0] += 0.15 * (rest[lips, 0] - rest[lips, 0].mean())
    still = canonical.with_lips_moved(wide, np.zeros_like(rest))
    moved = canonical.with_lips_moved(wide, wide - rest)

    np.testing.assert_array_equal(still, wide)
    further = (moved[291, 0] - moved[61, 0]) - (wide[291, 0] - wide[61, 0])
    read = (wide[291, 0] - wide[61, 0]) - (rest[291, 0] - rest[61, 0])
    # The corners are smoothed with the cheeks, which do not move.
    assert 0.4 * LIP_GAIN * read < further <= LIP_GAIN * read
    assert np.abs(moved - wide)[[33, 263, 10, 152, 234, 454]].max() < 0.3
