"""Faces that blink, look aside and talk by warps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.video.living_video import BLINK_S, BLINKS_S, GLANCES, Moment, speaking
from models.inference.mesh_points import MOUTH_CORNERS
from models.inference.texture.canonical_shape import CanonicalShape
from models.training.dataset import CANONICAL


def test_a_face_blinks_looks_to_both_sides_and_talks() -> None:
    moments = [Moment(index / 30) for index in range(150)]
    shut = [moment for moment in moments if moment.open_share < 0.3]
    assert 3 <= len(shut) <= 3 * 4
    assert Moment(BLINKS_S[0]).open_share == 0
    assert Moment(BLINKS_S[0] + BLINK_S).open_share == pytest.approx(1)
    assert max(moment.aside for moment in moments) == GLANCES[0][2]
    assert min(moment.aside for moment in moments) == GLANCES[1][2]
    silent = sum(moment.parted == 0 for moment in moments)
    assert 30 < silent < 120


def test_lips_part_and_the_chin_comes_down_while_the_rest_stays() -> None:
    mesh = np.ascontiguousarray(CanonicalShape.load(CANONICAL).mesh[:, :2])
    # Bands: what moves down is seen to move.
    rows = np.arange(224, dtype=np.float32)
    bands = np.clip(128 + 100 * np.sin(rows / 5), 0, 255).astype(np.uint8)
    photo = np.ascontiguousarray(np.broadcast_to(bands[:, None, None], (224, 224, 3)))
    spoken = speaking(photo, mesh, 0.15)
    changed = np.abs(spoken.astype(int) - photo).max(-1) > 4

    mouth = int(mesh[list(MOUTH_CORNERS), 1].mean())
    left, right = sorted(int(mesh[corner, 0]) for corner in MOUTH_CORNERS)
    assert changed[mouth + 3 :, left:right].mean() > 0.3
    assert not changed[: mouth - 8].any()
    assert not changed[:, : left - 4].any()
    np.testing.assert_array_equal(speaking(photo, mesh, 0.0), photo)
