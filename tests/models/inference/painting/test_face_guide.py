from __future__ import annotations

import numpy as np

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import transform
from models.inference.painting.face_guide import face_guide
from tests.models.demo_media import portrait

SIZE = 112


def test_each_part_is_drawn_where_the_mesh_says(engine: FaceSwapEngine) -> None:
    landmarks = engine.detect(portrait("ada_smile"))[0].landmarks
    to_crop = engine.painter.swap_crop(landmarks)
    mesh = transform(landmarks, to_crop) / 2
    across, down, hull, eyes, lips = face_guide(mesh, SIZE)

    def value(plane: np.ndarray, point: int) -> float:
        x, y = np.round(mesh[point]).astype(int)
        return float(plane[y, x])

    assert value(hull, 4) == 1
    assert hull[0].max() == 0
    assert value(eyes, 159) > 0.5
    assert value(eyes, 4) == 0
    assert value(lips, 17) > 0.5
    assert value(lips, 152) == 0
    assert abs(value(across, 168)) < 0.02
    assert abs(value(down, 168)) < 0.02
    assert value(across, 454) > 0.25 > 0 > -0.25 > value(across, 234)
    assert value(down, 10) < 0 < value(down, 152)


def test_a_mirrored_face_has_a_mirrored_guide(engine: FaceSwapEngine) -> None:
    canonical = engine.painter.canonical
    assert canonical is not None
    mesh = canonical.mesh[:, :2] / 2  # symmetric, once it stands in the middle
    mesh[:, 0] += (SIZE - 1) / 2 - (mesh[:, 0].min() + mesh[:, 0].max()) / 2
    guide = face_guide(np.asarray(mesh, np.float32), SIZE)
    assert np.abs(guide[2:] - guide[2:, :, ::-1]).mean() < 0.005
    np.testing.assert_allclose(guide[0], -guide[0, :, ::-1], atol=0.02)
    np.testing.assert_allclose(guide[1], guide[1, :, ::-1], atol=0.02)
