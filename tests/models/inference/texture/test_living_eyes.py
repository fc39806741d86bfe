"""Eyes of a swapped face: they look and blink as the target's do, with the source's irises."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.inference.arrays import LUMA, BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.eyes.iris_network import LIDS, EyePair
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.inference.texture.eyes.blank_eyes import without_irises
from models.inference.texture.eyes.iris import SIDE, cut_out
from tests.models.demo_media import portrait
from tests.models.living_eyes import looking, with_lids


def eyes_of(engine: FaceSwapEngine, image: BgrImage) -> EyePair:
    assert engine.iris is not None
    return engine.iris.look(ImageFrame(image), engine.detect(image)[0].landmarks)


def swapped(engine: FaceSwapEngine, image: BgrImage, identity: Identity) -> BgrImage:
    return engine.swap_frame(image, [Assignment(FaceSelector(), identity)]).frame


def aside(eyes: EyePair) -> float:
    """How far both eyes look to the viewer's right, in widths of the eye."""
    return float(eyes[0].gaze[0] - eyes[1].gaze[0]) / 2


@pytest.fixture
def without_eyes(engine: FaceSwapEngine, ada: Identity) -> Identity:
    """Ada as she was registered before irises were cut out."""
    old = replace(ada.code, eyes=None)
    return engine.identity("old ada", old, engine.specialise(old))


def test_irises_are_cut_out_whole_and_without_lids(engine: FaceSwapEngine) -> None:
    photo = portrait("ada_neutral")
    cut = cut_out(np.ascontiguousarray(photo[..., ::-1]), eyes_of(engine, photo))
    assert 0.18 < cut.radius < 0.28
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    far = np.hypot(rows, columns) / 16

    for disc in cut.discs:
        luma = disc[..., :3] @ LUMA
        pupil = luma[far < 0.25]
        iris = luma[(far > 0.5) & (far < 0.85)]
        white = luma[far > 1.15]
        assert pupil.mean() < iris.mean() < white.mean()
        # Lids would cut it: above and below it is as bright as at its sides.
        upper = luma[: SIDE // 3][far[: SIDE // 3] < 0.9]
        side = iris
        assert abs(upper.mean() - side.mean()) < 25


def test_an_iris_hidden_in_one_eye_is_the_other_ones(engine: FaceSwapEngine) -> None:
    photo = portrait("ada_neutral")
    eyes = eyes_of(engine, photo)
    shut = with_lids(photo, eyes[:1], 0.0)
    contours = eyes[0].contours.copy()
    contours[9:16] = contours[1:8]  # read as shut
    cut = cut_out(
        np.ascontiguousarray(shut[..., ::-1]), (replace(eyes[0], contours=contours), eyes[1])
    )
    assert np.array_equal(cut.discs[0], cut.discs[1][:, ::-1])


def test_a_texture_without_irises_is_white_there_and_the_same_elsewhere(ada: Identity) -> None:
    texture = ada.code.texture
    mesh = ada.texture_mesh
    eyes = ada.eyes
    assert texture is not None
    assert mesh is not None
    assert eyes is not None
    blank = without_irises(texture, mesh, eyes)
    changed = np.abs(blank.astype(int) - texture).max(axis=2) > 0
    inside = np.zeros(changed.shape, np.uint8)

    for side, lids in enumerate(LIDS):
        outline = cv2.convexHull(np.rint(mesh[list(lids)]).astype(np.int32))
        cv2.fillConvexPoly(inside, outline, 1)
        x, y = np.rint(mesh[list(lids)].mean(0)).astype(int)
        assert blank[y, x] @ LUMA > 1.6 * (texture[y, x] @ LUMA), side

    assert not changed[cv2.dilate(inside, np.ones((3, 3), np.uint8)) == 0].any()


@pytest.mark.parametrize("shift", [-0.12, 0.12])
def test_a_swapped_face_looks_where_the_target_looks(
    engine: FaceSwapEngine, ada: Identity, shift: float
) -> None:
    target = portrait("cleo_neutral")
    glancing = looking(target, eyes_of(engine, target), shift)
    assert aside(eyes_of(engine, glancing)) * np.sign(shift) > 0.03
    result = eyes_of(engine, swapped(engine, glancing, ada))
    assert aside(result) == pytest.approx(aside(eyes_of(engine, glancing)), abs=0.03)


def test_a_swapped_face_shuts_its_eyes_with_the_target(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    target = portrait("cleo_neutral")
    eyes = eyes_of(engine, target)
    awake, asleep = (
        eyes_of(engine, swapped(engine, image, ada))
        for image in (target, with_lids(target, eyes, 0.0))
    )
    assert all(shut.opening < 0.75 * eye.opening for shut, eye in zip(asleep, awake, strict=True))


def test_the_irises_are_the_sources(engine: FaceSwapEngine) -> None:
    """A made-up violet iris on a registered person shows on the target."""
    code = engine.register([portrait("ben_neutral")]).code
    assert code.eyes is not None
    discs = code.eyes.discs.copy()
    discs[..., :3] = (120, 30, 160)
    violet = replace(code, eyes=replace(code.eyes, discs=discs))
    identity = engine.identity("violet", violet, engine.specialise(violet))
    target = portrait("ada_neutral")
    result = swapped(engine, target, identity)

    for eye in eyes_of(engine, target):
        x, y = np.rint(eye.iris[0]).astype(int)
        around = result[y - 2 : y + 8, x - 8 : x + 8].reshape(-1, 3).mean(0)
        assert around[0] > around[1] + 15
        assert around[2] > around[1] + 5


def test_an_identity_registered_before_has_living_eyes_too(
    engine: FaceSwapEngine, without_eyes: Identity
) -> None:
    assert without_eyes.eyes is not None
    target = portrait("cleo_neutral")
    glancing = looking(target, eyes_of(engine, target), 0.12)
    result = eyes_of(engine, swapped(engine, glancing, without_eyes))
    assert aside(result) == pytest.approx(aside(eyes_of(engine, glancing)), abs=0.04)


def test_a_pack_without_the_iris_network_swaps_as_before(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    blind = replace(engine, iris=None)
    code = blind.register([portrait("ada_neutral")]).code
    assert code.eyes is None
    identity = blind.identity("blind ada", code, blind.specialise(code))
    assert identity.eyes is None
    target = portrait("cleo_neutral")
    result = eyes_of(engine, swapped(blind, target, identity))
    assert all(eye.opening > 0.2 for eye in result)


def test_eyes_survive_storage(ada: Identity) -> None:
    restored = IdentityCode.from_bytes(ada.code.to_bytes()).eyes
    assert restored is not None
    assert ada.code.eyes is not None
    assert np.array_equal(restored.discs, ada.code.eyes.discs)
    assert np.array_equal(restored.gaze, ada.code.eyes.gaze)
    assert restored.radius == pytest.approx(ada.code.eyes.radius)
