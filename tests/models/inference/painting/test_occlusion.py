"""What is in front of a face is seen in one image, and what happens to the face itself is not
taken for cover: with the pack's own network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import transform
from models.inference.frames.i420 import I420Frame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.painting.occlusion import CoverFinder
from models.inference.painting.occlusion_memory import (
    OcclusionMemory,
)
from models.inference.swapping.selection import Assignment
from tests.models.demo_media import SOLO, copied, frames_of, portrait
from tests.models.inference.painting.crops import brightness, crop_of, patched

CHIN = 17
FOREHEAD = 151


def at(plane: NDArray[Any], point: NDArray[np.float32]) -> float:
    x, y = (round(float(v)) for v in point)
    return float(plane[y, x])


def with_arm(crop: NDArray[np.uint8], shade: float, at_y: float) -> NDArray[np.uint8]:
    """Return a forearm across the lower face, in the cheek's own colour."""
    covered = crop.copy()
    skin = np.median(crop[110:130, 60:80].reshape(-1, 3), axis=0) * shade
    ends = (-20, round(at_y) + 20), (244, round(at_y) - 15)
    cv2.line(covered, *ends, tuple(float(v) for v in skin), 44, cv2.LINE_AA)

    return np.asarray(covered, np.uint8)


@pytest.mark.parametrize("name", ["ada_neutral", "ben_neutral", "cleo_smile", "dev_neutral"])
@pytest.mark.parametrize("shade", [0.75, 1.2])
def test_an_arm_of_the_faces_own_colour_is_seen_at_first_sight(
    engine: FaceSwapEngine, finder: CoverFinder, name: str, shade: float
) -> None:
    crop, landmarks = crop_of(engine, name)
    cover = finder.find(with_arm(crop, shade, landmarks[CHIN, 1]), landmarks)
    assert cover is not None
    assert at(cover, landmarks[CHIN]) > 0.7
    assert at(cover, landmarks[FOREHEAD]) < 0.1


@pytest.mark.parametrize(
    "name",
    [f"{who}_{how}" for who in ("ada", "ben", "cleo", "dev") for how in ("neutral", "smile")],
)
def test_light_covers_nothing(engine: FaceSwapEngine, finder: CoverFinder, name: str) -> None:
    """Half a face in shadow is not cover; hair at the rim may be."""
    crop, landmarks = crop_of(engine, name)
    half = np.where(np.arange(224) < landmarks[4, 0], 0.45, 1.0)[None, :, None]
    soft = cv2.GaussianBlur(np.broadcast_to(half, (224, 224, 1)).astype(np.float32), (0, 0), 4)
    below_eyes = int(landmarks[[33, 263], 1].mean()) + 12

    for light in (np.float32(0.6), np.float32(1.0), soft[..., None]):
        cover = finder.find(np.clip(crop * light, 0, 255).astype(np.uint8), landmarks)
        assert cover is None or cover[below_eyes:, 60:164].max() < 0.3


def test_a_turning_and_smiling_face_covers_nothing(
    engine: FaceSwapEngine, finder: CoverFinder, ada: Identity
) -> None:
    tracker = engine.sequence([Assignment(FaceSelector("all"), ada)]).tracker
    memory = OcclusionMemory()

    for index, frame in enumerate(frames_of(SOLO, step=3)):
        for tracked in tracker.update(frame, index / 10):
            to_crop = engine.painter.swap_crop(tracked.face.landmarks)
            landmarks = transform(tracked.face.landmarks, to_crop)
            cover = finder.find(frame.rgb_crop(to_crop, 224), landmarks, memory)
            eyes = int(landmarks[[33, 263], 1].mean())
            assert cover is None or cover[eyes:, 60:164].max() < 0.3


def test_what_was_covered_stays_so_for_a_frame_of_doubt(
    engine: FaceSwapEngine, tmp_path: Path
) -> None:
    _, landmarks = crop_of(engine, "ben_neutral")
    finder = brightness(tmp_path)
    sure = patched(0.95, (120, 180), (0, 120))
    doubted = patched(0.12, (120, 180), (0, 120))
    memory = OcclusionMemory()

    assert finder.find(doubted, landmarks, memory) is None
    assert finder.find(sure, landmarks, memory) is not None
    assert finder.find(doubted, landmarks, memory) is not None
    memory.reset()
    assert finder.find(doubted, landmarks, memory) is None


def test_what_comes_in_front_is_seen_at_once(engine: FaceSwapEngine, tmp_path: Path) -> None:
    _, landmarks = crop_of(engine, "ben_neutral")
    finder = brightness(tmp_path)
    memory = OcclusionMemory()
    assert finder.find(patched(0, (120, 180), (0, 120)), landmarks, memory) is None
    assert finder.find(patched(0.95, (120, 180), (0, 120)), landmarks, memory) is not None


def test_a_spot_within_the_face_must_be_larger_and_surer(
    engine: FaceSwapEngine, tmp_path: Path
) -> None:
    _, landmarks = crop_of(engine, "ben_neutral")
    finder = brightness(tmp_path)
    x, y = (round(float(v)) for v in landmarks[4])
    small = (y - 10, y + 10), (x - 10, x + 10)
    large = (y - 20, y + 20), (x - 20, x + 20)
    assert finder.find(patched(0.95, *small), landmarks) is None
    assert finder.find(patched(0.8, *large), landmarks) is None
    assert finder.find(patched(0.95, *large), landmarks) is not None


def test_hair_beside_an_eye_is_painted_over_and_a_strand_across_it_kept(
    engine: FaceSwapEngine, tmp_path: Path
) -> None:
    _, landmarks = crop_of(engine, "ben_neutral")
    finder = brightness(tmp_path)
    below_brows = int(landmarks[[33, 263], 1].max())
    rim = round(float(landmarks[:, 0].min()))
    rows = (below_brows, below_brows + 50)

    def hair(reach_px: int) -> NDArray[np.uint8]:
        crop = patched(1.0, rows, (0, rim + reach_px))
        crop[..., 1:] = 0  # the first of the three planes, hair, is sure of what is red
        return crop

    assert finder.find(hair(24), landmarks) is None
    assert finder.find(hair(60), landmarks) is not None


def test_an_image_keeps_what_is_in_front_of_its_face(engine: FaceSwapEngine, ada: Identity) -> None:
    photo = portrait("ben_neutral")
    mouth = engine.detect(photo)[0].landmarks[CHIN]
    x, y = (round(float(v)) for v in mouth)
    cv2.rectangle(photo, (x - 90, y - 60), (x + 90, y + 220), (160, 120, 40), -1)
    swapped = engine.swap_frame(photo, [Assignment(FaceSelector(), ada)], SwapOptions()).frame
    inside = np.s_[y - 30 : y + 60, x - 60 : x + 60]
    assert np.abs(swapped[inside].astype(int) - photo[inside]).mean() < 4


def test_a_microphone_before_a_face_stays_black_from_the_first_frame(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    sequence = engine.sequence([Assignment(FaceSelector(), ada)])
    for index, frame in enumerate(frames_of(SOLO, 4)):
        held = microphone(frame)
        sequence.swap(held, index / 30)
        assert float(held.y[430:450, 630:650].mean()) < 45


def microphone(frame: I420Frame) -> I420Frame:
    held = copied(frame)
    held.y[400:720, 600:680] = 20
    held.u[200:360, 300:340] = 128
    held.v[200:360, 300:340] = 128
    return held


@pytest.mark.parametrize(
    ("opacity", "is_kept"), [(1.0, True), (0.12, False)], ids=["dark", "clear"]
)
def test_dark_glasses_are_kept_and_clear_ones_painted_over(
    engine: FaceSwapEngine, finder: CoverFinder, opacity: float, is_kept: bool
) -> None:
    crop, landmarks = crop_of(engine, "ben_neutral")
    dark = crop.copy()
    for corners in ((33, 133), (362, 263)):
        middle = landmarks[list(corners)].mean(axis=0)
        cv2.ellipse(dark, (int(middle[0]), int(middle[1])), (27, 20), 0, 0, 360, (18, 18, 20), -1)
    cv2.line(dark, *(tuple(int(v) for v in landmarks[n]) for n in (133, 362)), (18, 18, 20), 4)

    shown = cv2.addWeighted(dark, opacity, crop, 1 - opacity, 0)
    cover = finder.find(np.asarray(shown, np.uint8), landmarks)
    pupil = landmarks[[33, 133]].mean(axis=0)
    assert (cover is not None and at(cover, pupil) > 0.5) == is_kept
