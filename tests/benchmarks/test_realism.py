"""What the realism bars read from faces, on faces whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.dataset import shared_folder

if not (shared_folder() / "films").is_dir():
    pytest.skip("needs the shared measuring material", allow_module_level=True)

from benchmarks.realism.eyes import runs
from benchmarks.realism.flicker import trembling
from benchmarks.realism.material import pooled_correlation, pooled_slope
from benchmarks.realism.readings import gazes, openings
from models.inference.finding.eyes.eye_axes import INNER, LOWER, OUTER, UPPER


def eye(width: float, gap: float, gaze: float) -> tuple[np.ndarray, np.ndarray]:
    """Both eyes of a face that looks to the right by `gaze` widths, lids `gap` widths apart."""
    lids = np.zeros((2, 16, 2), np.float32)
    irises = np.zeros((2, 5, 2), np.float32)

    for side, outer in ((0, 0.0), (1, 3 * width)):
        inner = outer + (width if side == 0 else -width)
        lids[side, OUTER, 0] = outer
        lids[side, INNER, 0] = inner
        lids[side, LOWER, 0] = lids[side, UPPER, 0] = np.linspace(outer, inner, 9)[1:-1]
        lids[side, LOWER, 1] = gap * width / 2
        lids[side, UPPER, 1] = -gap * width / 2
        irises[side, :, 0] = (outer + inner) / 2 + gaze * width

    return lids, irises


def test_gaze_and_opening_are_read_in_eye_widths() -> None:
    lids, irises = eye(width=30.0, gap=0.25, gaze=0.1)

    assert openings(lids) == pytest.approx([0.25, 0.25], abs=1e-5)
    assert gazes(lids, irises) == pytest.approx([0.1, 0.0], abs=1e-5)


def test_a_slope_over_time_ignores_what_is_constant() -> None:
    target = np.sin(np.linspace(0, 6, 50))
    output = 0.4 * target + 3

    assert pooled_slope([output, output + 7], [target, target]) == pytest.approx(0.4)
    assert pooled_correlation([output], [target]) == pytest.approx(1.0)


def test_runs_of_frames_are_told_apart() -> None:
    found = runs(np.array([0, 1, 1, 0, 0, 1], bool))

    assert [run.tolist() for run in found] == [[1, 2], [5]]
    assert runs(np.zeros(4, bool)) == []


def test_steady_motion_does_not_tremble() -> None:
    mesh = np.random.default_rng(0).uniform(0, 200, (468, 2)).astype(np.float32)
    moving = np.stack([mesh + step for step in range(6)])

    assert trembling(moving) < 1e-3
    assert trembling(moving + np.array([0, 5, 0, 5, 0, 5])[:, None, None]) > 1
