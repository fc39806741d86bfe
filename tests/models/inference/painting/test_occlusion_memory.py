"""When the cover network is asked anew in a video, and when its last answer holds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.painting.occlusion import CoverFinder
from models.inference.painting.occlusion_memory import (
    CALM_LEVELS,
    MOST_KEPT,
    OPEN_LEVELS,
    OcclusionMemory,
)
from tests.models.inference.painting.crops import brightness, crop_of, patched


def test_an_answer_holds_while_nothing_changes_and_not_for_long(
    engine: FaceSwapEngine, finder: CoverFinder
) -> None:
    crop, landmarks = crop_of(engine, "ben_neutral")
    memory = OcclusionMemory()
    answers = [asked(finder, crop, landmarks, memory) for _ in range(2 * MOST_KEPT + 3)]

    assert answers == [True, *[False] * MOST_KEPT, True, *[False] * MOST_KEPT, True]


def test_a_hand_is_looked_at_in_every_frame(engine: FaceSwapEngine, finder: CoverFinder) -> None:
    crop, landmarks = crop_of(engine, "ben_neutral")
    memory = OcclusionMemory()

    for left in range(20, 100, 8):
        shown = crop.copy()
        cv2.rectangle(shown, (left, 120), (left + 60, 200), (150, 110, 90), -1)
        assert asked(finder, shown, landmarks, memory)


def test_what_creeps_in_is_measured_from_the_last_look(
    engine: FaceSwapEngine, finder: CoverFinder
) -> None:
    crop, landmarks = crop_of(engine, "ben_neutral")
    memory = OcclusionMemory()
    # Half of what counts as a change from one frame to the next.
    frames = [cv2.subtract(crop, np.full_like(crop, OPEN_LEVELS / 2 * step)) for step in range(4)]

    assert [asked(finder, frame, landmarks, memory) for frame in frames] == [
        True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("is_covered", [True, False])
def test_motion_is_a_reason_to_ask_only_while_something_is_in_front(
    engine: FaceSwapEngine, tmp_path: Path, is_covered: bool
) -> None:
    _, landmarks = crop_of(engine, "ben_neutral")
    finder = brightness(tmp_path)
    crop = patched(0.95 if is_covered else 0, (120, 180), (0, 120))
    moved = cv2.add(crop, np.full_like(crop, (CALM_LEVELS + OPEN_LEVELS) / 2))
    memory = OcclusionMemory()

    assert asked(finder, crop, landmarks, memory)
    assert asked(finder, moved, landmarks, memory) == is_covered


def asked(
    finder: CoverFinder, crop: np.ndarray, landmarks: np.ndarray, memory: OcclusionMemory
) -> bool:
    """Whether the network looked at a frame: what it says of it is then another answer."""
    before = memory.likely
    finder.find(crop, landmarks, memory)
    return memory.likely is not before
