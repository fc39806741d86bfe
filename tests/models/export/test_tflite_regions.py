"""MediaPipe's own operators, written in standard ones, against what they mean."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.export.tflite.tflite_format import Operator, Tensor
from models.export.tflite.tflite_graph import TfliteGraph
from models.export.tflite.tflite_regions import CUSTOM_HANDLERS
from models.inference.runtime import ort

Array = NDArray[np.float32]

# A quarter turn of three points: the line from the first to the second goes down.
POINTS = np.array([[10, 4, 0], [10, 12, 0], [6, 8, 0]], np.float32)
SETTINGS = {
    "left_rotation_idx": 0,
    "right_rotation_idx": 1,
    "subset_idxs": [0, 1, 2],
    "output_width": 4,
    "output_height": 2,
    "scale_x": 1.5,
    "scale_y": 2.0,
}


def run(
    name: str,
    inputs: list[Array],
    output: tuple[int, ...],
    settings: dict[str, object] | None = None,
) -> Array:
    """Return what the graph of one operator computes; images are NCHW in it."""
    shapes = [(1, *one.shape[2:], one.shape[1]) if one.ndim == 4 else one.shape for one in inputs]
    tensors = [Tensor(f"t{index}", shape, None) for index, shape in enumerate([*shapes, output])]
    # Tensor 9, which nothing uses, is where a file's image would enter.
    model = SimpleNamespace(tensors=tensors, inputs=(9,), operators=[])
    graph = TfliteGraph(model, scale=1.0, offset=0.0, batch=1)
    places = tuple(range(len(inputs)))
    operator = Operator(32, places, (len(inputs),), None, name, settings or {})
    CUSTOM_HANDLERS[name](graph, operator)

    result = graph.name(len(inputs))
    ports = {"image": (1,)} | {f"t{index}": one.shape for index, one in enumerate(inputs)}
    built = graph.builder.build("region", ports, {result: output})
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"image": np.zeros(1, np.float32)} | {f"t{i}": one for i, one in enumerate(inputs)}
    return session.run(None, given)[0]


def test_a_region_is_the_square_around_its_points_turned_with_them() -> None:
    matrix = run("Landmarks2TransformMatrix", [POINTS[None]], (1, 4, 4), SETTINGS)[0]

    # Its x runs down the image (8 px long), its y to the left (4 px): 1.5 and 2 times as far.
    assert matrix[:2, 0] == pytest.approx([0, 8 * 1.5 / 4], abs=1e-5)
    assert matrix[:2, 1] == pytest.approx([-4 * 2 / 2, 0], abs=1e-5)
    # The middle of the region's pixels is the middle of the points' box.
    middle = matrix @ np.array([2, 1, 0, 1], np.float32)
    assert middle[:2] == pytest.approx([8, 8], abs=1e-5)
    assert matrix[2:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]


def test_features_of_a_region_lie_between_pixels_counted_from_their_corners() -> None:
    columns = np.arange(6, dtype=np.float32)
    features = np.broadcast_to(columns, (1, 1, 5, 6)).copy()
    matrix = np.eye(4, dtype=np.float32)[None]
    matrix[0, 0, 3] = 1.25
    settings = {"output_width": 4, "output_height": 3}
    found = run("TransformTensorBilinear", [features, matrix], (1, 1, 3, 4), settings)

    # Pixel 0's middle, .5, is taken to 1.75: the middle of pixel 1 and a quarter of the way on.
    assert found[0, 0, 1] == pytest.approx([1.25, 2.25, 3.25, 4.25], abs=1e-5)


def test_points_of_a_region_are_taken_to_the_image() -> None:
    matrix = run("Landmarks2TransformMatrix", [POINTS[None]], (1, 4, 4), SETTINGS)
    corners = np.array([[[0, 0], [4, 2]]], np.float32)
    found = run("TransformLandmarks", [corners, matrix], (1, 2, 2))[0]
    expected = [matrix[0] @ np.array([*corner, 0, 1], np.float32) for corner in corners[0]]
    assert found == pytest.approx(np.array(expected)[:, :2], abs=1e-5)
