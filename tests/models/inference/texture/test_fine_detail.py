"""The band above 224 px: taken from a photo, kept with the identity, put on a close-up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.inference.arrays import Plane, RgbImage
from models.inference.errors import BadIdentityError
from models.inference.frames.resampling import Region
from models.inference.identity import IdentityCode
from models.inference.texture.fine_detail import (
    MIDDLE,
    NONE,
    band_of,
    crop_factor,
    unchanged,
    with_detail,
)

WHOLE = Region(0, 0, 224, 224)
EVERYWHERE = np.ones((224, 224), np.float32)


def pores(size: int = 448, strength: float = 12) -> RgbImage:
    noise = np.random.default_rng(1).normal(0, strength, (size, size, 1))
    return np.asarray(np.clip(140 + noise, 0, 255).repeat(3, 2), np.uint8)


def smooth(image: RgbImage) -> RgbImage:
    return np.asarray(cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)


def middle_of(image: RgbImage) -> Plane:
    middle = MIDDLE.enlarged(2).of(image)
    return np.asarray(cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY), np.uint8)


def in_place() -> np.ndarray:
    rows, columns = np.mgrid[:224, :224].astype(np.float32)
    return np.stack([columns, rows], axis=-1)


def detail(image: RgbImage) -> float:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(grey - cv2.blur(grey, (3, 3)))[100:-100, 100:-100].mean())


def test_a_close_up_gets_its_photos_pores_back() -> None:
    photo = pores()

    after = with_detail(
        smooth(photo), band_of(photo, EVERYWHERE), in_place(), middle_of(photo), WHOLE
    )

    assert 0.6 < detail(after) / detail(photo) < 1.1
    assert np.corrcoef(after[150:-150, 150:-150, 0].ravel(), photo[150:-150, 150:-150, 0].ravel())[
        0, 1
    ] == pytest.approx(1, abs=0.25)


def test_a_face_out_of_focus_stays_soft() -> None:
    photo = pores()
    blurred = np.asarray(cv2.GaussianBlur(pores(), (0, 0), 4), np.uint8)

    after = with_detail(
        smooth(blurred), band_of(photo, EVERYWHERE), in_place(), middle_of(blurred), WHOLE
    )

    assert detail(after) < 1.5 * detail(blurred) + 0.3


def test_a_part_is_painted_as_the_whole_is() -> None:
    photo = pores()
    box = Region(40, 20, 190, 200)
    given = (smooth(photo), band_of(photo, EVERYWHERE), in_place(), middle_of(photo))

    part = with_detail(*given, box)

    whole = box.enlarged(2).of(with_detail(*given, WHOLE))
    assert part.shape == (360, 300, 3)
    # At its own edge a part has no pixels past it to interpolate with.
    assert np.array_equal(part[4:-4, 4:-4], whole[4:-4, 4:-4])


def test_filled_skin_has_no_detail() -> None:
    before = smooth(pores())
    after = before.copy()
    after[50:90, 50:90] = 90

    trusted = unchanged(before, after)

    assert trusted[70, 70] == pytest.approx(0, abs=0.01)
    assert trusted[150, 150] == 1
    assert band_of(pores(), trusted)[140, 140] == NONE


@pytest.mark.parametrize(("scale", "factor"), [(0.4, 1), (1.2, 1), (2.0, 2), (3.0, 3), (8.0, 3)])
def test_faces_are_painted_as_large_as_they_are(scale: float, factor: int) -> None:
    assert crop_factor(scale) == factor


def test_a_code_keeps_its_detail_in_little_space() -> None:
    band = band_of(pores(), EVERYWHERE)
    code = IdentityCode("open@1", np.ones(128, np.float32), detail=band)

    stored = code.to_bytes()
    again = IdentityCode.from_bytes(stored).detail

    assert len(stored) < 150_000
    assert again is not None
    assert np.abs(again.astype(int) - band).mean() < 6


def test_damaged_detail_is_refused() -> None:
    code = IdentityCode("open@1", np.ones(128, np.float32), detail=np.full((448, 448), 128, "u1"))
    stored = code.to_bytes()

    with pytest.raises(BadIdentityError):
        IdentityCode.from_bytes(stored[: len(stored) // 2])
