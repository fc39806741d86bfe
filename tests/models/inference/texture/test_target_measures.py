"""When light, focus and hair of a face in a video are measured anew."""

from __future__ import annotations

import cv2
import numpy as np

from models.inference.arrays import Landmarks, RgbImage
from models.inference.texture.target_measures import MOST_HELD, Kept, TargetMeasures


def crop() -> RgbImage:
    """Return a swap crop with soft structure in it."""
    noise = np.random.default_rng(1).integers(60, 200, (14, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (224, 224), interpolation=cv2.INTER_CUBIC), np.uint8)


def round_face() -> Landmarks:
    """Return a mesh whose outline is a circle in the crop's middle."""
    turns = np.linspace(0, 2 * np.pi, 468)
    return np.stack([112 + 60 * np.cos(turns), 112 + 60 * np.sin(turns)], 1).astype(np.float32)


IDENTITY = round_face()


def due(measures: TargetMeasures, target: RgbImage, identity: Landmarks = IDENTITY) -> bool:
    measures.begin(target, round_face(), identity)
    return measures.is_due


def test_a_face_that_stays_as_it_is_is_measured_in_every_third_frame() -> None:
    measures = TargetMeasures()
    seen = [due(measures, crop()) for _ in range(2 * (MOST_HELD + 1))]
    assert seen == 2 * [True, *[False] * MOST_HELD]


def test_frames_since_the_last_measurement_are_counted() -> None:
    measures = TargetMeasures()
    counts = []
    for _ in range(MOST_HELD + 2):
        due(measures, crop())
        counts.append(measures.frames)

    assert counts[-1] == MOST_HELD + 1


def test_a_shadow_on_the_face_is_measured_at_once() -> None:
    measures = TargetMeasures()
    shaded = crop()
    shaded[100:130, 100:130] //= 2

    assert due(measures, crop())
    assert due(measures, shaded)
    assert not due(measures, shaded)


def test_light_that_fades_is_measured_in_every_frame() -> None:
    measures = TargetMeasures()
    fading = [np.asarray(crop() - np.uint8(step), np.uint8) for step in range(5)]

    assert all(due(measures, frame) for frame in fading)


def test_what_moves_behind_a_face_is_no_reason_to_measure() -> None:
    measures = TargetMeasures()
    behind = crop()
    behind[:24, :24] = 255

    assert due(measures, crop())
    assert not due(measures, behind)


def test_another_identity_and_another_shot_are_measured_at_once() -> None:
    measures = TargetMeasures()
    assert due(measures, crop())
    assert due(measures, crop(), round_face())

    measures.reset()
    assert due(measures, crop())


def test_a_measurement_holds_until_the_next_is_due() -> None:
    kept: Kept[int] = Kept()
    assert kept.of(lambda: 1, is_due=False) == 1
    assert kept.of(lambda: 2, is_due=False) == 1
    assert kept.of(lambda: 3, is_due=True) == 3
