from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.detections import Detection, merge, overlap
from tests.models.demo_media import DUET, frames_of, portrait


@pytest.mark.parametrize("person", ["ada", "ben", "cleo", "dev"])
def test_a_portrait_holds_one_confident_upright_face(engine: FaceSwapEngine, person: str) -> None:
    (face,) = engine.detect(portrait(f"{person}_neutral"))
    assert face.score > 0.95
    assert 120 < face.eye_px < 170
    assert abs(face.yaw_deg) < 10


def test_faces_with_20_px_between_the_eyes_are_found_in_a_large_image(
    engine: FaceSwapEngine,
) -> None:
    scene = np.full((1080, 1920, 3), 128, np.uint8)
    places = [(60, 80), (700, 900), (1500, 300), (1780, 930)]

    for (x, y), person in zip(places, ("ada", "ben", "cleo", "dev"), strict=True):
        small = cv2.resize(portrait(f"{person}_smile"), (112, 112), interpolation=cv2.INTER_AREA)
        scene[y : y + 112, x : x + 112] = small

    found = engine.detect(scene)
    assert [round(face.box[0]) // 100 for face in found] == [(x + 34) // 100 for x, _ in places]
    assert all(17 < face.eye_px < 24 for face in found)


def scene_of(large: str | None, small: str) -> BgrImage:
    """Return a wide image with one person small at its edge, and perhaps one large in it."""
    scene = np.full((1080, 1920, 3), 128, np.uint8)
    portrayed = cv2.resize(portrait(f"{small}_smile"), (112, 112), interpolation=cv2.INTER_AREA)
    scene[60:172, 1700:1812] = portrayed
    if large is not None:
        scene[:, 400:1480] = cv2.resize(portrait(f"{large}_smile"), (1080, 1080))

    return scene


def test_the_largest_face_is_the_same_whether_or_not_small_ones_are_looked_for(
    engine: FaceSwapEngine,
) -> None:
    scene = scene_of("ben", "ada")
    everybody = engine.detect(scene)
    (found,) = engine.detect(scene, largest_only=True)
    largest = max(everybody, key=lambda face: face.eye_px)
    assert len(everybody) == 2
    assert overlap(found.box, largest.box) > 0.9
    assert np.abs(found.landmarks - largest.landmarks).max() < 0.02 * largest.eye_px


def test_where_nobody_is_large_small_faces_are_looked_for(engine: FaceSwapEngine) -> None:
    (face,) = engine.detect(scene_of(None, "ada"), largest_only=True)
    assert face.eye_px < 40


def test_a_large_drawing_does_not_end_the_search(engine: FaceSwapEngine) -> None:
    scene = scene_of("ben", "ada")
    flat = cv2.medianBlur(np.ascontiguousarray(scene[:, 400:1480]), 15) // 80 * 80
    scene[:, 400:1480] = flat
    found = engine.detect(scene, largest_only=True)
    assert any(face.eye_px < 40 for face in found)


@pytest.mark.parametrize("angle", [-40, 40])
def test_a_rolled_face_is_found_and_its_mesh_follows_the_roll(
    engine: FaceSwapEngine, angle: int
) -> None:
    upright = portrait("ben_neutral")
    turn = cv2.getRotationMatrix2D((400, 400), angle, 0.8)
    (face,) = engine.detect(np.asarray(cv2.warpAffine(upright, turn, (800, 800)), np.uint8))
    across = face.landmarks[263] - face.landmarks[33]
    assert float(np.degrees(np.arctan2(across[1], across[0]))) == pytest.approx(-angle, abs=6)


def test_an_image_without_people_has_no_faces(engine: FaceSwapEngine) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (600, 900, 3), np.uint8)
    assert engine.detect(cv2.GaussianBlur(noise, (0, 0), 9)) == []


def test_two_people_of_a_video_frame_are_found_in_one_look(engine: FaceSwapEngine) -> None:
    assert len(engine.detector.find(frames_of(DUET, 1)[0])) == 2


def test_detections_of_one_face_become_one_and_distant_ones_stay() -> None:
    points = np.zeros((6, 2), np.float32)
    found = [
        Detection((0, 0, 100, 100), 0.9, points),
        Detection((10, 10, 110, 110), 0.8, points),
        Detection((500, 0, 600, 100), 0.7, points),
    ]

    merged = merge(found)
    assert [face.score for face in merged] == [0.9, 0.7]
    assert 0 < merged[0].box[0] < 10


def test_a_box_inside_another_counts_as_the_same_face() -> None:
    assert overlap((0, 0, 100, 100), (25, 25, 75, 75)) == pytest.approx(1.0)
    assert overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0.0
