from __future__ import annotations

import json
from collections.abc import Sequence
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
from models.inference.finding.face_parts import FaceParts
from models.inference.finding.identity_encoder import cosine_similarity, normalised
from models.inference.photo_check import PhotoCheck
from models.inference.registration import photo_candidate
from tests.models.demo_media import portrait


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
        assert cosine_similarity(engine.register([portrait(name)]).code.embedding, expected) > 0.9


def test_photos_of_one_person_give_one_code(engine: FaceSwapEngine) -> None:
    both = engine.register([portrait("dev_neutral"), portrait("dev_smile")])
    assert [photo.accepted for photo in both.photos] == [True, True]

    for alone in ("dev_neutral", "dev_smile"):
        assert (
            cosine_similarity(
                both.code.embedding, engine.register([portrait(alone)]).code.embedding
            )
            > 0.9
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


def covered(photo: BgrImage, outline: Sequence[tuple[int, int]], colour: Sequence[int]) -> BgrImage:
    """Return the photo with something flat in front of the face."""
    image = photo.copy()
    cv2.fillPoly(image, [np.array(outline, np.int32)], tuple(colour))
    return image


MASK = ((255, 365), (520, 365), (500, 520), (385, 580), (275, 520))
PALM = ((300, 425), (470, 425), (470, 690), (300, 690))
LENSES = ((250, 270), (350, 270), (385, 290), (420, 270), (525, 270), (515, 355), (430, 355))


@pytest.mark.parametrize("who", ["ben", "cleo", "dev"])
@pytest.mark.parametrize(
    ("outline", "colour", "code"),
    [
        (MASK, (215, 190, 150), "mouth_covered"),
        (MASK, (250, 250, 250), "mouth_covered"),
        (PALM, (115, 140, 190), "mouth_covered"),
        ((*LENSES, (345, 355), (260, 355)), (20, 18, 16), "eyes_covered"),
    ],
)
def test_a_mask_a_hand_and_dark_glasses_are_told_with_the_figure(
    engine: FaceSwapEngine,
    who: str,
    outline: Sequence[tuple[int, int]],
    colour: Sequence[int],
    code: str,
) -> None:
    photo = covered(portrait(f"{who}_neutral"), outline, colour)
    told = told_about(engine, photo)
    assert code in told
    assert any(character.isdigit() for character in told[code])


def test_a_photo_on_its_head_is_used_the_right_way_up_and_said(engine: FaceSwapEngine) -> None:
    upright = engine.register([portrait("ada_neutral")])
    turned = engine.register([np.ascontiguousarray(portrait("ada_neutral")[::-1, ::-1])])
    (photo,) = turned.photos
    assert photo.accepted
    assert [warning.code for warning in photo.warnings] == ["not_upright"]
    assert cosine_similarity(upright.code.embedding, turned.code.embedding) > 0.95


def test_half_a_face_is_refused_with_the_share_that_is_there(engine: FaceSwapEngine) -> None:
    told = told_about(engine, portrait("ben_neutral")[:, 400:].copy())
    assert "%" in told["cut_off"]


@pytest.mark.parametrize("who", ["ada", "ben", "cleo", "dev"])
@pytest.mark.parametrize("look", ["neutral", "smile"])
def test_an_honest_portrait_is_taken_without_a_word(
    engine: FaceSwapEngine, who: str, look: str
) -> None:
    assert told_about(engine, portrait(f"{who}_{look}")) == {}


def told_about(engine: FaceSwapEngine, photo: BgrImage) -> dict[str, str]:
    """Return what registration says about a photo, by code, whether it takes it or not."""
    check = PhotoCheck(FaceParts.load())
    report = photo_candidate(photo, engine.detect(photo), check).report
    told = {warning.code: warning.detail for warning in report.warnings}
    return told | ({str(report.reason): str(report.detail)} if report.reason else {})
