from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.errors import (
    LowQualityError,
    NoFaceError,
    PhotosDisagreeError,
    SeveralFacesError,
)
from models.inference.finding.identity_encoder import likeness, normalised
from tests.models.clips import portrait


def side_by_side(*people: str) -> BgrImage:
    return np.hstack([portrait(f"{person}_neutral") for person in people])


def test_one_photo_is_enough(engine: FaceSwapEngine) -> None:
    registration = engine.register([portrait("ada_neutral")])
    (photo,) = registration.photos
    assert photo.accepted
    assert photo.face_px > 100
    assert photo.sharpness > 30
    assert registration.code.pack == engine.pack.id
    assert float(np.linalg.norm(registration.code.embedding)) == pytest.approx(1, abs=1e-5)


@pytest.mark.shared
def test_the_embedding_is_dlibs_own(engine: FaceSwapEngine, shared: Path) -> None:
    reference = json.loads((shared / "eval" / "dlib_reference.json").read_text())
    for name in ("ada_neutral", "ben_smile", "cleo_neutral", "dev_smile"):
        expected = normalised(
            np.array(reference[name]["embedding"], np.float32) - engine.pack.embedding_mean()
        )
        assert likeness(engine.register([portrait(name)]).code.embedding, expected) > 0.9


def test_photos_of_one_person_give_one_code(engine: FaceSwapEngine) -> None:
    both = engine.register([portrait("dev_neutral"), portrait("dev_smile")])
    assert [photo.accepted for photo in both.photos] == [True, True]
    for alone in ("dev_neutral", "dev_smile"):
        assert (
            likeness(both.code.embedding, engine.register([portrait(alone)]).code.embedding) > 0.9
        )


def test_a_stranger_among_the_photos_is_left_out_and_named(engine: FaceSwapEngine) -> None:
    photos = [portrait("ada_neutral"), portrait("ben_neutral"), portrait("ada_smile")]
    registration = engine.register(photos)
    assert [photo.reason for photo in registration.photos] == [None, "someone_else", None]
    alone = engine.register([photos[0], photos[2]]).code
    assert np.array_equal(registration.code.embedding, alone.embedding)


def test_photos_of_two_people_disagree(engine: FaceSwapEngine) -> None:
    with pytest.raises(PhotosDisagreeError):
        engine.register([portrait("ada_neutral"), portrait("ben_neutral")])


def test_a_photo_without_a_face_is_refused(engine: FaceSwapEngine) -> None:
    with pytest.raises(NoFaceError):
        engine.register([np.full((300, 300, 3), 200, np.uint8)])


def test_a_photo_of_two_people_is_refused(engine: FaceSwapEngine) -> None:
    with pytest.raises(SeveralFacesError):
        engine.register([side_by_side("ada", "ben")])


def test_a_bystander_far_away_is_no_second_person(engine: FaceSwapEngine) -> None:
    photo = portrait("ada_neutral")
    photo[:140, :140] = cv2.resize(
        portrait("ben_neutral"), (140, 140), interpolation=cv2.INTER_AREA
    )
    assert engine.register([photo]).photos[0].accepted


def test_tiny_blurred_and_dark_photos_are_refused_with_the_reason(engine: FaceSwapEngine) -> None:
    photo = portrait("ben_neutral")
    tiny = cv2.resize(photo, (110, 110), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(photo, (0, 0), 9)
    dark = (photo * 0.12).astype(np.uint8)
    for bad, reason in ((tiny, "too_small"), (blurred, "blurred"), (dark, "too_dark")):
        with pytest.raises(LowQualityError) as refusal:
            engine.register([np.asarray(bad, np.uint8)])
        assert reason in refusal.value.message


def test_one_good_photo_carries_a_bad_one(engine: FaceSwapEngine) -> None:
    blurred = cv2.GaussianBlur(portrait("ben_smile"), (0, 0), 9)
    registration = engine.register([portrait("ben_neutral"), np.asarray(blurred, np.uint8)])
    assert [photo.reason for photo in registration.photos] == [None, "blurred"]
