"""A face larger in the frame than the network's crop, painted at that size; and open mouths."""

from __future__ import annotations

import cv2
import numpy as np

from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.image_frame import ImageFrame
from models.inference.mesh_points import INNER_LIPS
from models.inference.options import SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.texture.resting_face import RestingFace
from tests.models.demo_media import portrait

LOWER_LIP = [14, 87, 178, 88, 95, 317, 402, 318, 324]
OPENED_PX = 40


def close_up() -> ImageFrame:
    return ImageFrame(np.asarray(cv2.resize(portrait("ben_neutral"), (1600, 1600)), np.uint8))


def only_face(engine: FaceSwapEngine, frame: ImageFrame) -> MeshedFace:
    (face,) = engine.detect(frame.image)
    return face


def test_a_close_up_is_painted_larger_and_no_larger_than_it_shows(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    frame = close_up()
    face = only_face(engine, frame)

    painted = engine.painter.paint(frame, face.landmarks, ada, SwapOptions())

    height, width = painted.face.shape[:2]
    assert painted.mask.shape == (height, width)
    assert 224 < height < 672
    assert 224 < width < 672


def test_nothing_is_painted_into_an_open_mouth(engine: FaceSwapEngine, ada: Identity) -> None:
    frame = close_up()
    opened = only_face(engine, frame).landmarks.copy()
    opened[LOWER_LIP] += (0, OPENED_PX)
    before = frame.image.copy()

    painted = engine.painter.paint(frame, opened, ada, SwapOptions())
    frame.paste(painted.face, painted.mask, painted.to_crop)

    x, y = opened[list(INNER_LIPS)].mean(axis=0).round().astype(int)
    inside = np.s_[y - 5 : y + 5, x - 5 : x + 5]
    assert np.array_equal(frame.image[inside], before[inside])
    assert not np.array_equal(frame.image, before)


def test_in_a_video_an_open_mouth_is_the_frames_own_at_any_size(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    frame = ImageFrame(np.asarray(cv2.resize(portrait("ben_neutral"), (300, 300)), np.uint8))
    face = only_face(engine, frame)
    opened = face.landmarks.copy()
    opened[LOWER_LIP] += (0, 0.2 * face.eye_px)
    before = frame.image.copy()

    painted = engine.painter.paint(frame, opened, ada, SwapOptions(), resting=RestingFace())
    frame.paste(painted.face, painted.mask, painted.to_crop)

    assert painted.face.shape[:2] == (224, 224)
    x, y = opened[list(INNER_LIPS)].mean(axis=0).round().astype(int)
    inside = np.s_[y - 2 : y + 2, x - 2 : x + 2]
    assert np.array_equal(frame.image[inside], before[inside])
    assert not np.array_equal(frame.image, before)
