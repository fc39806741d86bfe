from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.survey.surveyed import Surveyed, SurveyedPerson
from models.inference.frames.i420 import I420Frame
from tests.models.demo_media import (
    DUET,
    SOLO,
    crossing,
    frames_of,
    from_packed,
    portrait,
    sides_swapped,
)

FPS = 30.0


@pytest.fixture(scope="module")
def duet() -> list[I420Frame]:
    return frames_of(DUET)


@pytest.fixture(scope="module")
def solo() -> list[I420Frame]:
    return frames_of(SOLO, 60)


def people_of(tracker: FaceTracker, frames: Sequence[I420Frame]) -> list[list[str]]:
    """Who is in each frame, left to right, at 30 frames a second."""
    seen = [tracker.update(frame, index / FPS) for index, frame in enumerate(frames)]
    return [[tracked.person_id for tracked in faces] for faces in seen]


def test_one_person_is_followed_with_few_detections_and_recognitions(
    engine: FaceSwapEngine, solo: list[I420Frame]
) -> None:
    tracker = engine.tracker()
    assert people_of(tracker, solo) == [["p1"]] * 60
    assert tracker.detections <= 10
    assert tracker.gallery.recognition_passes <= 4


def test_two_people_keep_their_ids(engine: FaceSwapEngine, duet: list[I420Frame]) -> None:
    assert people_of(engine.tracker(), duet) == [["p1", "p2"]] * len(duet)


def test_people_who_change_sides_at_a_cut_keep_their_ids(
    engine: FaceSwapEngine, duet: list[I420Frame]
) -> None:
    tracker = engine.tracker()
    video = duet[:20] + [sides_swapped(frame) for frame in duet[20:40]]
    assert people_of(tracker, video) == [["p1", "p2"]] * 20 + [["p2", "p1"]] * 20
    assert tracker.shot == 2


def test_people_who_walk_past_each_other_keep_their_ids(
    engine: FaceSwapEngine, duet: list[I420Frame]
) -> None:
    seen = people_of(engine.tracker(), crossing(duet))
    assert seen[0] == ["p1", "p2"]
    assert seen[-1] == ["p2", "p1"]
    assert {person for frame in seen for person in frame} == {"p1", "p2"}


def test_someone_new_after_a_cut_gets_a_new_id_and_the_first_ones_come_back(
    engine: FaceSwapEngine, duet: list[I420Frame], solo: list[I420Frame]
) -> None:
    seen = people_of(engine.tracker(), duet[:10] + solo[:10] + duet[60:70])
    assert seen == [["p1", "p2"]] * 10 + [["p3"]] * 10 + [["p1", "p2"]] * 10


def test_a_person_comes_back_after_a_gap_in_the_same_shot(
    engine: FaceSwapEngine, solo: list[I420Frame]
) -> None:
    empty = I420Frame(
        np.full_like(solo[0].y, 190), np.full_like(solo[0].u, 128), np.full_like(solo[0].v, 128)
    )
    seen = people_of(engine.tracker(), solo[:5] + [empty] * 5 + solo[20:25])
    assert seen[4] == ["p1"]
    assert seen[7] == []
    assert seen[-1] == ["p1"]


def test_a_tracker_that_is_told_who_is_known_goes_on_with_their_ids(
    engine: FaceSwapEngine, duet: list[I420Frame]
) -> None:
    first = engine.tracker()
    people_of(first, [sides_swapped(duet[0])])  # here the right one is met first
    known = Surveyed(
        tuple(
            SurveyedPerson(one.person_id, one.embedding, resembles=None, share=1.0, human=1.0)
            for one in first.gallery.people()
        )
    )
    assert people_of(engine.tracker(known), duet[100:103]) == [["p2", "p1"]] * 3


def test_a_small_face_is_there_from_the_first_frame(engine: FaceSwapEngine) -> None:
    scene = np.full((1080, 1920, 3), 120, np.uint8)
    scene[700:812, 1400:1512] = cv2.resize(
        portrait("ben_neutral"), (112, 112), interpolation=cv2.INTER_AREA
    )
    packed = np.asarray(cv2.cvtColor(scene, cv2.COLOR_BGR2YUV_I420), np.uint8)
    assert people_of(engine.tracker(), [from_packed(packed, 1080)] * 2) == [["p1"]] * 2
