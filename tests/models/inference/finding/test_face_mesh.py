"""The mesh of images and the one of videos, which looks at the lips once more."""

from __future__ import annotations

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import FaceMesh, MeshedFace, RegionOfInterest
from models.inference.frames.frame import Frame
from models.inference.frames.image_frame import ImageFrame
from models.inference.mesh_points import CLOSE_LIPS
from tests.material import SAMPLES
from tests.models.demo_media import frames_of, portrait

LIVING = SAMPLES / "living_720p30.mp4"


def looked(mesh: FaceMesh, frame: Frame, face: MeshedFace) -> MeshedFace:
    return mesh.look(frame, RegionOfInterest.of_landmarks(face.landmarks))


def opening(face: MeshedFace) -> float:
    """Return the gap between the lips over the distance between the eyes."""
    return float(np.linalg.norm(face.landmarks[13] - face.landmarks[14]) / face.eye_px)


@pytest.mark.parametrize("person", ["ada", "ben", "cleo", "dev"])
def test_both_meshes_see_the_same_face(engine: FaceSwapEngine, person: str) -> None:
    photo = portrait(f"{person}_smile")
    plain = engine.detect(photo)[0]
    refined = looked(engine.video_mesh, ImageFrame(photo), plain)
    apart = np.linalg.norm(refined.landmarks - plain.landmarks, axis=1) / plain.eye_px
    assert refined.score > 0.9
    # Two networks, one face, eyes and brows included.
    assert apart.mean() < 0.05
    assert apart[list(CLOSE_LIPS)].max() < 0.2


def test_lips_that_close_while_talking_are_seen_to_close(engine: FaceSwapEngine) -> None:
    frames = frames_of(LIVING, step=3)
    face = engine.video_mesh.settle(frames[0], engine.detector.find(frames[0])[0])
    plain = np.array([opening(looked(engine.mesh, frame, face)) for frame in frames])
    refined = np.array([opening(looked(engine.video_mesh, frame, face)) for frame in frames])

    # Both follow, but the plain mesh never sees these lips touch.
    assert np.corrcoef(plain, refined)[0, 1] > 0.7
    assert refined.min() < 0.005 < 0.01 < plain.min()
    assert refined.std() > plain.std()


def test_the_mesh_before_the_close_look_is_kept(engine: FaceSwapEngine) -> None:
    photo = portrait("ada_smile")
    face = engine.detect(photo)[0]
    refined = looked(engine.video_mesh, ImageFrame(photo), face)
    plain = looked(engine.mesh, ImageFrame(photo), face)

    assert plain.unrefined is None
    np.testing.assert_allclose(refined.unrefined, plain.landmarks, atol=1e-3)
    others = np.setdiff1d(np.arange(468), CLOSE_LIPS)
    np.testing.assert_allclose(refined.landmarks[others], plain.landmarks[others], atol=1e-3)
