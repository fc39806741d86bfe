from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.finding.landmark_filter import LandmarkFilter

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
