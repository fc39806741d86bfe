from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.engine import Assignment, FaceSelector, FaceSwapEngine, I420Frame, Identity
from models.inference.frames.affine import transform
from models.inference.frames.still_frame import StillFrame
from models.inference.painting.occlusion import OcclusionMemory
from tests.models.clips import SOLO, copied, frames_of, portrait

HAND = (120, 150, 205)  # BGR, near the colour of the face it covers


@pytest.fixture(scope="module")
def face(engine: FaceSwapEngine) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Ben's crop, 224 px, and his landmarks in it."""
    photo = portrait("ben_neutral")
    landmarks = engine.detect(photo)[0].landmarks
    to_crop = engine.painter.swap_crop(landmarks)
    return StillFrame(photo).rgb_crop(to_crop, 224), transform(landmarks, to_crop)


def covered_by(
    crop: NDArray[np.uint8], colour: tuple[int, int, int], centre: NDArray[np.float32]
) -> NDArray[np.uint8]:
    x, y = (round(float(v)) for v in centre)
    return np.asarray(cv2.circle(crop.copy(), (x, y), 36, colour[::-1], -1), np.uint8)


@pytest.mark.parametrize("colour", [HAND, (25, 25, 25)])
def test_what_passes_in_front_of_a_known_face_is_seen(
    face: tuple[NDArray[np.uint8], NDArray[np.float32]], colour: tuple[int, int, int]
) -> None:
    crop, landmarks = face
    memory = OcclusionMemory()
    assert memory.cover(crop, landmarks) is None
    chin, forehead = landmarks[17], landmarks[151]
    for _ in range(3):
        cover = memory.cover(covered_by(crop, colour, chin), landmarks)
    assert cover is not None
    assert cover[round(float(chin[1])), round(float(chin[0]))] > 0.7
    assert cover[round(float(forehead[1])), round(float(forehead[0]))] < 0.1


def test_a_change_of_light_covers_nothing(
    face: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    crop, landmarks = face
    memory = OcclusionMemory()
    for gain in (1.0, 0.9, 0.75, 0.6, 0.8, 1.0):
        assert memory.cover(np.asarray(crop * gain, np.uint8), landmarks) is None


def test_a_turning_and_smiling_face_covers_nothing(engine: FaceSwapEngine, ada: Identity) -> None:
    sequence = engine.sequence([Assignment(FaceSelector("all"), ada)])
    memory, tracker = OcclusionMemory(), sequence.tracker
    for index, frame in enumerate(frames_of(SOLO, step=3)):
        for tracked in tracker.update(frame, index / 10):
            to_crop = engine.painter.swap_crop(tracked.face.landmarks)
            crop = frame.rgb_crop(to_crop, 224)
            assert memory.cover(crop, transform(tracked.face.landmarks, to_crop)) is None


def test_a_microphone_in_front_of_a_swapped_face_stays_black(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    sequence = engine.sequence([Assignment(FaceSelector(), ada)])
    frames = frames_of(SOLO, 8)
    with_microphone = [*frames[:4], *(microphone(frame) for frame in frames[4:])]
    for index, frame in enumerate(with_microphone):
        sequence.swap(frame, index / 30)
    assert float(with_microphone[-1].y[430:450, 630:650].mean()) < 45


def microphone(frame: I420Frame) -> I420Frame:
    held = copied(frame)
    held.y[400:720, 600:680] = 20
    held.u[200:360, 300:340] = 128
    held.v[200:360, 300:340] = 128
    return held
