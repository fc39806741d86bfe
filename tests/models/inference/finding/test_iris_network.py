from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.eyes.iris_network import LIDS, IrisNetwork
from models.inference.frames.affine import transform
from models.inference.frames.image_frame import ImageFrame
from tests.models.demo_media import portrait
from tests.models.living_eyes import looking, with_lids

PEOPLE = ("ada", "ben", "cleo", "dev")


@pytest.fixture
def network(engine: FaceSwapEngine) -> IrisNetwork:
    assert engine.iris is not None
    return engine.iris


@pytest.mark.parametrize("person", PEOPLE)
def test_open_eyes_of_a_portrait_are_found_where_they_are(
    engine: FaceSwapEngine, network: IrisNetwork, person: str
) -> None:
    photo = portrait(f"{person}_neutral")
    face = engine.detect(photo)[0]

    for side, eye in enumerate(network.look(ImageFrame(photo), face.landmarks)):
        outline = face.landmarks[list(LIDS[side])]
        width = float(np.linalg.norm(outline[8] - outline[0]))
        assert np.linalg.norm(eye.lids - outline, axis=1).max() < 0.2 * width
        assert 0.15 < eye.opening < 0.5
        x, y = eye.iris[0]
        assert cv2.pointPolygonTest(eye.lids[[*range(9), *range(15, 8, -1)]], (x, y), False) > 0
        # The middle of an iris is the darkest place of an open eye.
        luma = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), (0, 0), 2)
        assert luma[round(y), round(x)] < 0.6 * luma[round(y) + round(width), round(x)]


def test_a_mirrored_face_has_mirrored_eyes(engine: FaceSwapEngine, network: IrisNetwork) -> None:
    photo = portrait("cleo_neutral")
    face = engine.detect(photo)[0]
    mirror = np.array([[-1.0, 0, photo.shape[1] - 1], [0, 1, 0]])
    mesh = transform(face.landmarks, mirror)

    for left, right in zip(LIDS[0], LIDS[1], strict=True):
        mesh[[left, right]] = mesh[[right, left]]

    eyes = network.look(ImageFrame(photo), face.landmarks)
    flipped = network.look(ImageFrame(np.ascontiguousarray(photo[:, ::-1])), mesh)

    for eye, other in zip(eyes, reversed(flipped), strict=True):
        np.testing.assert_allclose(other.moved(mirror).contours, eye.contours, atol=0.3)
        np.testing.assert_allclose(other.moved(mirror).iris[0], eye.iris[0], atol=0.3)


def test_eyes_are_read_alike_when_the_head_is_tilted(
    engine: FaceSwapEngine, network: IrisNetwork
) -> None:
    photo = portrait("dev_neutral")
    face = engine.detect(photo)[0]
    turn = np.asarray(cv2.getRotationMatrix2D((400, 400), 35, 1))
    turned = ImageFrame(np.asarray(cv2.warpAffine(photo, turn, (800, 800)), np.uint8))
    upright = network.look(ImageFrame(photo), face.landmarks)
    tilted = network.look(turned, transform(face.landmarks, turn))

    for eye, other in zip(upright, tilted, strict=True):
        assert other.opening == pytest.approx(eye.opening, abs=0.02)
        np.testing.assert_allclose(other.iris[0], eye.moved(turn).iris[0], atol=1.0)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_lowered_lid_is_read_as_a_smaller_opening(
    engine: FaceSwapEngine, network: IrisNetwork, person: str
) -> None:
    photo = portrait(f"{person}_neutral")
    mesh = engine.detect(photo)[0].landmarks
    eyes = network.look(ImageFrame(photo), mesh)
    half, shut = (
        network.look(ImageFrame(with_lids(photo, eyes, share)), mesh) for share in (0.5, 0)
    )

    for eye, lowered, closed in zip(eyes, half, shut, strict=True):
        assert lowered.opening < 0.9 * eye.opening
        assert closed.opening < 0.65 * eye.opening


@pytest.mark.parametrize("person", PEOPLE)
def test_a_glance_moves_the_iris_and_not_the_lids(
    engine: FaceSwapEngine, network: IrisNetwork, person: str
) -> None:
    photo = portrait(f"{person}_neutral")
    mesh = engine.detect(photo)[0].landmarks
    eyes = network.look(ImageFrame(photo), mesh)

    for shift in (-0.12, 0.12):
        glancing = network.look(ImageFrame(looking(photo, eyes, shift)), mesh)
        for eye, other in zip(eyes, glancing, strict=True):
            width = float(np.linalg.norm(eye.lids[8] - eye.lids[0]))
            assert (other.iris[0] - eye.iris[0])[0] / width * np.sign(shift) > 0.03
            assert other.opening == pytest.approx(eye.opening, abs=0.03)
