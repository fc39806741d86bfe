from __future__ import annotations

import numpy as np
import pytest

from models.inference.finding.eyes.eye_axes import EyeAxes
from models.inference.finding.eyes.eye_motion import IN_IMAGES, EyeMotion, MovingEyes
from models.inference.finding.eyes.iris_network import LIDS, Eye, EyePair, with_lids

# An open eye in its own axes: outer corner, lower lid, inner corner, upper lid.
PLACES = np.linspace(-0.5, 0.5, 9)[1:-1]
ROUND = 0.5 * np.cos(np.pi * PLACES)


def eye(side: int, opening: float = 0.27, gaze: tuple[float, float] = (0.0, 0.0)) -> Eye:
    outer, inner = np.array([(100.0, 100), (130, 100)] if side == 0 else [(230, 100), (200, 100)])
    axes = EyeAxes.of(outer, inner, side)
    height = opening * ROUND / ROUND[1:-1].mean() / 2
    own = [(-0.5, 0), *zip(PLACES, height, strict=True)]
    own += [(0.5, 0), *zip(PLACES, -height, strict=True)]
    contours = np.zeros((71, 2), np.float32)
    contours[:16] = axes.image(np.array(own))
    ring = np.array([(0, 0), (0.2, 0), (0, -0.2), (-0.2, 0), (0, 0.2)])

    return Eye(contours, axes.image(ring + gaze).astype(np.float32), side)


def pair(left: float = 0.27, right: float | None = None, aside: float = 0.0) -> EyePair:
    return eye(0, left, (aside, 0)), eye(1, left if right is None else right, (-aside, 0))


def mesh() -> np.ndarray:
    landmarks = np.zeros((468, 2), np.float32)
    return with_lids(landmarks, pair())


def see(motion: EyeMotion, eyes: EyePair, frame: int) -> MovingEyes:
    return motion.see(eyes, mesh(), mesh(), frame / 30)


def test_opening_is_measured_by_what_the_person_usually_does() -> None:
    motion = EyeMotion()
    for frame in range(60):
        usual = see(motion, pair(0.19), frame)

    assert usual[0].openness == pytest.approx(1, abs=0.01)
    assert see(motion, pair(0.07), 60)[0].openness < 0.5
    assert see(motion, pair(0.19), 61)[0].openness == pytest.approx(1, abs=0.02)


def test_a_single_image_is_judged_by_what_people_do() -> None:
    assert see(EyeMotion(IN_IMAGES), pair(0.08), 0)[0].openness < 0.5
    assert see(EyeMotion(IN_IMAGES), pair(0.27), 0)[0].openness > 0.9


def test_a_video_of_narrow_eyes_does_not_begin_with_shut_ones() -> None:
    motion = EyeMotion()
    assert all(see(motion, pair(0.15), frame)[0].openness > 0.9 for frame in range(10))


def test_readings_of_narrow_eyes_that_tremble_are_no_blinks() -> None:
    motion = EyeMotion()
    rng = np.random.default_rng(1)
    openings = 0.15 + rng.normal(0, 0.01, 90)
    assert all(see(motion, pair(op), i)[0].openness > 0.8 for i, op in enumerate(openings))


def test_narrow_eyes_that_close_by_half_are_shown_to() -> None:
    motion = EyeMotion()
    for frame in range(30):
        see(motion, pair(0.15), frame)

    assert see(motion, pair(0.075), 30)[0].openness == pytest.approx(0.5, abs=0.03)


def test_both_eyes_close_alike_unless_one_of_them_winks() -> None:
    motion = EyeMotion()
    see(motion, pair(), 0)
    left, right = see(motion, pair(0.24, 0.28), 1)
    assert left.openness == right.openness
    left, right = see(motion, pair(0.08, 0.27), 2)
    assert left.openness < 0.5
    assert right.openness > 0.9


def test_both_eyes_glance_together() -> None:
    motion = EyeMotion()
    for frame in range(30):
        left, right = see(motion, pair(aside=0.1), frame)
    assert left.glance == pytest.approx([0.1, 0], abs=0.005)
    assert right.glance == pytest.approx([-0.1, 0], abs=0.005)


def test_eyes_that_are_read_as_looking_elsewhere_are_put_right() -> None:
    """Painted eyes are read .04 further to the right than they were meant to look."""
    motion = EyeMotion()
    for frame in range(60):
        left, _ = see(motion, pair(aside=0.1), frame)
        if motion.is_check_due:
            motion.check(pair(aside=left.glance[0] + 0.04))

    assert left.glance[0] == pytest.approx(0.06, abs=0.005)


def test_what_is_put_right_has_a_bound() -> None:
    motion = EyeMotion()
    for frame in range(200):
        left, _ = see(motion, pair(), frame)
        motion.check(pair(aside=0.3))
    assert left.glance[0] > -0.07


def test_a_fast_glance_is_not_left_behind_and_noise_is_stilled() -> None:
    motion = EyeMotion()
    rng = np.random.default_rng(0)
    noisy = [see(motion, pair(aside=rng.normal(0, 0.01)), i)[0].glance[0] for i in range(90)]
    assert np.std(noisy[10:]) < 0.008
    jumped = [see(motion, pair(aside=0.15), 90 + i)[0].glance[0] for i in range(4)]
    assert jumped[2] > 0.8 * 0.15


def test_lids_at_rest_lie_where_the_eye_is_open() -> None:
    motion = EyeMotion()
    see(motion, pair(0.27), 0)
    rest = see(motion, pair(0.06), 1)[0].rest
    assert rest == pytest.approx(eye(0, 0.27).lids, abs=0.3)


def test_after_a_reset_the_first_reading_counts_and_the_person_is_remembered() -> None:
    motion = EyeMotion()
    for frame in range(60):
        see(motion, pair(0.19, aside=0.1), frame)

    motion.reset()
    left, _ = see(motion, pair(0.19, aside=-0.1), 60)
    assert left.glance[0] == pytest.approx(-0.1, abs=1e-6)
    assert left.openness == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("side", [0, 1])
def test_axes_stand_on_the_head_with_the_face(side: int) -> None:
    seen = eye(side)
    turned = EyeAxes.of(-seen.lids[0], -seen.lids[8], side)
    np.testing.assert_allclose(turned.own(-seen.lids), seen.axes.own(seen.lids), atol=1e-6)
    assert seen.axes.own(seen.lids[12])[1] < 0 < seen.axes.own(seen.lids[4])[1]
    np.testing.assert_allclose(seen.axes.image(seen.axes.own(seen.lids)), seen.lids, atol=1e-4)


def test_lids_of_the_network_take_the_place_of_the_meshs() -> None:
    landmarks = mesh()
    for side in (0, 1):
        np.testing.assert_array_equal(landmarks[list(LIDS[side])], pair()[side].lids)
