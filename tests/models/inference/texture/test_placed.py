"""A texture and its mask, drawn through a map."""

from __future__ import annotations

import cv2
import numpy as np

from models.inference.texture.placed import drawn_through


def test_texture_and_mask_are_drawn_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    mask = rng.integers(0, 256, (224, 224), dtype=np.uint8)
    rows, columns = np.mgrid[:224, :224].astype(np.float32)
    # Turned, enlarged, and past the texture's edge on one side.
    where = np.dstack([0.7 * columns + 0.1 * rows - 20, 0.8 * rows - 0.1 * columns + 30])

    drawn, levels = drawn_through(where, texture, mask)

    for both, alone in ((drawn, texture), (levels, mask)):
        expected = cv2.remap(alone, where, None, cv2.INTER_LINEAR)
        assert np.abs(both.astype(int) - expected).max() <= 1
