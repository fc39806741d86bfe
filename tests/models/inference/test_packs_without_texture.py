"""The official pack's way through the engine, on graphs of the same ports and no trained
weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.inference.counters import Counters
from models.inference.engine import FaceSwapEngine
from models.inference.errors import BadIdentityError
from models.inference.finding.identity_encoder import IdentityEncoder
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode
from models.inference.options import SwapOptions
from models.inference.painting.face_painter import FacePainter, Identity
from models.inference.painting.face_swapper import WholeSwapper
from models.inference.painting.weight_generator import WeightGenerator
from models.inference.session import Network, SessionFactory
from tests.models.demo_media import portrait

SESSIONS = SessionFactory("cpu")
NOBODY = IdentityCode("official@000000000000", np.zeros(512, np.float32))


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    ports: dict[str, list[int]],
    outputs: dict[str, list[int]],
) -> Path:
    inputs, results = (
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in table.items()
        ]
        for table in (ports, outputs)
    )

    constants = [
        numpy_helper.from_array(np.float32(1), "one"),
        numpy_helper.from_array(np.array([1, 512], np.int64), "embedding_shape"),
        numpy_helper.from_array(np.ones((1, 1, 224, 224), np.float32), "everywhere"),
        numpy_helper.from_array(np.zeros((1, 512, 7, 7), np.float32), "map"),
        numpy_helper.from_array(np.ones((1, 512), np.float32), "ones"),
    ]

    graph = helper.make_graph(nodes, "small", inputs, results, constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        str(path),
    )
    return path


@pytest.fixture
def negative(tmp_path: Path) -> Network:
    """An IDN that answers with the target's negative and shows it everywhere."""
    nodes = [
        helper.make_node("Sub", ["one", "target"], ["face"]),
        helper.make_node("Identity", ["everywhere"], ["mask"]),
    ]
    image = [1, 3, 224, 224]
    path = saved(
        tmp_path / "idn.onnx", nodes, {"target": image}, {"face": image, "mask": [1, 1, 224, 224]}
    )

    return SESSIONS.open(path)


def test_a_three_channel_network_swaps_without_a_texture(
    engine: FaceSwapEngine, negative: Network
) -> None:
    photo = portrait("ben_neutral")
    face = engine.detect(photo)[0]
    painter = FacePainter("affine", None, Counters())
    identity = Identity("nobody", NOBODY, WholeSwapper(negative, 224))
    frame = ImageFrame(photo.copy())
    painted = painter.paint(frame, face.landmarks, identity, SwapOptions(colour_match=0))
    frame.paste(painted.face, painted.mask, painted.to_crop)
    x, y = (round(float(v)) for v in face.landmarks[4])
    assert np.abs(frame.image[y, x].astype(int) - (255 - photo[y, x].astype(int))).max() < 12
    assert np.array_equal(frame.image[:100], photo[:100])
    assert painter.counters.swap_passes == 1


def test_the_mesh_hull_bounds_what_a_network_shows(
    engine: FaceSwapEngine, negative: Network
) -> None:
    photo = portrait("ben_neutral")
    face = engine.detect(photo)[0]
    identity = Identity("nobody", NOBODY, WholeSwapper(negative, 224))
    painted = FacePainter("affine", None, Counters()).paint(
        ImageFrame(photo), face.landmarks, identity, SwapOptions()
    )
    assert painted.mask[112, 112] == pytest.approx(1, abs=0.01)
    assert painted.mask[:8].max() == 0
    assert painted.mask[:, :8].max() == 0


def test_an_encoder_with_a_feature_map_hands_it_on(engine: FaceSwapEngine, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Identity", ["map"], ["feature_map"]),
        helper.make_node("Identity", ["ones"], ["embedding"]),
    ]
    outputs = {"feature_map": [1, 512, 7, 7], "embedding": [1, 512]}
    path = saved(tmp_path / "encoder.onnx", nodes, {"image": [1, 3, 112, 112]}, outputs)
    encoder = IdentityEncoder(
        network=SESSIONS.open(path),
        size=112,
        fit="affine",
        template_size=224,
        from_template=np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]]),
        centre=np.zeros(512, np.float32),
        counters=Counters(),
    )

    photo = portrait("ada_neutral")
    encoded = encoder.register(ImageFrame(photo), engine.detect(photo)[0].landmarks)
    assert encoded.feature_map is not None
    assert encoded.feature_map.shape == (512, 7, 7)
    assert encoded.embedding == pytest.approx(np.full(512, 512**-0.5), abs=1e-6)
    assert encoder.counters == Counters(encoder_passes=1)


def test_a_code_without_the_map_that_the_iim_needs_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["feature_map", "map"], ["encoder.0.depthwise"])]
    shape = [1, 512, 7, 7]
    path = saved(
        tmp_path / "iim.onnx", nodes, {"feature_map": shape}, {"encoder.0.depthwise": shape}
    )

    with pytest.raises(BadIdentityError, match="feature_map"):
        WeightGenerator(SESSIONS.open(path)).generate(NOBODY)
