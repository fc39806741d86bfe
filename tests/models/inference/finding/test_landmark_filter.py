from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.finding.landmark_filter import LandmarkFilter, TimedLandmarks

FPS = 30.0


@pytest.fixture
def face() -> NDArray[np.float32]:
    """468 points of a face with about 120 px between the eyes."""
    landmarks = np.random.default_rng(0).uniform(0, 300, (468, 2)).astype(np.float32)
    landmarks[[33, 133, 158, 159, 160]] = (90, 100)
    landmarks[[263, 362, 385, 386, 387]] = (210, 100)
    return landmarks


def filtered(track: NDArray[np.float32], strength: float = 0.5) -> NDArray[np.float32]:
    steady = LandmarkFilter(strength)
    return np.stack([steady.apply(landmarks, index / FPS) for index, landmarks in enumerate(track)])


def filtered_ahead(track: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the filter makes of a track whose next frame it always knows."""
    steady = LandmarkFilter()
    looks = [TimedLandmarks(landmarks, index / FPS) for index, landmarks in enumerate(track)]
    following = [*looks[1:], None]
    return np.stack(
        [
            steady.apply(look.landmarks, look.time_s, after)
            for look, after in zip(looks, following, strict=True)
        ]
    )


def trembling(track: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(np.diff(track, 2, axis=0), axis=-1).mean())


def test_a_still_face_trembles_at_least_60_percent_less(face: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, (90, *face.shape))
    track = (face + noise).astype(np.float32)
    assert trembling(filtered(track)) < 0.4 * trembling(track)


@pytest.mark.parametrize("px_per_frame", [3.0, 12.0])
def test_a_moving_face_lags_by_less_than_a_frame(
    face: NDArray[np.float32], px_per_frame: float
) -> None:
    track = face + px_per_frame * np.arange(60, dtype=np.float32)[:, None, None] * np.array(
        [1, 0], np.float32
    )
    lag_px = (track - filtered(track))[20:, :, 0].mean()
    assert lag_px < px_per_frame


def test_a_still_face_trembles_less_when_the_next_frame_is_known(
    face: NDArray[np.float32],
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, (90, *face.shape))
    track = (face + noise).astype(np.float32)
    assert trembling(filtered_ahead(track)) < 0.8 * trembling(filtered(track))


def test_a_moving_face_lags_less_when_the_next_frame_is_known(face: NDArray[np.float32]) -> None:
    steps = np.arange(60, dtype=np.float32)[:, None, None] * np.array([3, 0], np.float32)
    track = face + steps
    lag_px = np.abs(track - filtered_ahead(track))[20:-1].mean()
    assert lag_px < 0.7 * np.abs(track - filtered(track))[20:-1].mean()


def test_a_turning_point_is_motion_and_stays(face: NDArray[np.float32]) -> None:
    """A nod of 8 px a frame, whose bend is 13 times the noise."""
    there_and_back = np.abs(np.arange(-15, 16, dtype=np.float32)) * 8
    track = face + there_and_back[:, None, None] * np.array([0, 1], np.float32)
    ahead = filtered_ahead(track)
    assert np.abs(ahead - track)[15].mean() < 1.5


def test_frames_of_uneven_length_are_drawn_to_where_motion_puts_them(
    face: NDArray[np.float32],
) -> None:
    times = (0.0, 0.010, 0.050)
    first, now, after = (
        TimedLandmarks(face + np.float32(100 * time_s), time_s) for time_s in times
    )
    steady = LandmarkFilter(strength=0.05)
    without = LandmarkFilter(strength=0.05)

    steady.apply(first.landmarks, first.time_s)
    without.apply(first.landmarks, first.time_s)
    drawn = steady.apply(now.landmarks, now.time_s, after)
    left = without.apply(now.landmarks, now.time_s)

    # Even motion is not noise: only the filter's lag is left, and that has become less.
    assert np.abs(drawn - now.landmarks).max() <= np.abs(left - now.landmarks).max()


def test_after_a_reset_nothing_of_the_past_is_left(face: NDArray[np.float32]) -> None:
    steady = LandmarkFilter()
    steady.apply(face, 0.0)
    steady.reset()
    assert np.array_equal(steady.apply(face + 500, 1 / FPS), face + 500)


def test_strength_zero_leaves_landmarks_alone(face: NDArray[np.float32]) -> None:
    track = np.stack([face, face + 1, face - 1])
    assert np.array_equal(filtered(track, strength=0.0), track)


def test_frames_at_one_time_do_not_divide_by_zero(face: NDArray[np.float32]) -> None:
    steady = LandmarkFilter()
    steady.apply(face, 0.0)
    assert np.isfinite(steady.apply(face + 1, 0.0)).all()
