"""MediaPipe's own operators, with which a mesh network looks more closely at a part of the face.

A square around some landmarks, turned with the face, is cut out of a feature map; what is found in
it is taken back to the image. A region is told by a matrix float32 [1, 4, 4] from its own pixels to
those of the feature map. Written by standard operators, since no runtime but MediaPipe has these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.export.graph_builder import Attribute
from models.export.tflite.tflite_format import Operator
from models.export.tflite.tflite_graph import TfliteGraph

QUARTER_TURN = np.array([[0, 1], [-1, 0]], np.float32)  # of a row (x, y): it becomes (-y, x)
# The lower rows of the matrix: depth, and the homogeneous coordinate.
LOWER_ROWS = np.array([[[0, 0, 1, 0], [0, 0, 0, 1]]], np.float32)
PLANE = np.array([0, 1], np.int64)


def _region_of_landmarks(graph: TfliteGraph, operator: Operator) -> None:
    """Make the matrix of the square around some landmarks [1, n, 3]; the line between two of them
    gives its angle.
    """
    settings = operator.settings
    target = graph.name(operator.outputs[0])
    node = _namer(graph, target)
    size = np.array([settings["output_width"], settings["output_height"]], np.float32)
    scale = np.array([settings["scale_x"], settings["scale_y"]], np.float32) / size

    flat = node("Gather", graph.name(operator.inputs[0]), PLANE, axis=2)
    left = node("Gather", flat, np.array([settings["left_rotation_idx"]]), axis=1)
    right = node("Gather", flat, np.array([settings["right_rotation_idx"]]), axis=1)
    along = node("Sub", right, left)
    across = node("Div", along, node("ReduceL2", along, axes=(2,)))
    down = node("MatMul", across, QUARTER_TURN)
    upright = node("Concat", across, down, axis=1)

    part = node("Gather", flat, np.array(settings["subset_idxs"]), axis=1)
    turned = node("MatMul", part, node("Transpose", upright, perm=(0, 2, 1)))
    low = node("ReduceMin", turned, axes=(1,))
    high = node("ReduceMax", turned, axes=(1,))
    middle = node("Mul", node("Add", low, high), np.float32(0.5))
    centre = node("MatMul", middle, upright)
    # What one pixel of the region is in the feature map, across and down.
    steps = node("Mul", node("Sub", high, low), scale[None, None])
    axes = node("Mul", upright, node("Transpose", steps, perm=(0, 2, 1)))
    corner = node("Sub", centre, node("MatMul", (size / 2)[None, None], axes))

    rows = node("Concat", axes, np.zeros((1, 1, 2), np.float32), corner, axis=1)
    upper = node("Transpose", rows, perm=(0, 2, 1))
    graph.builder.node(
        "Concat", [upper, graph.builder.constant("region.lower", LOWER_ROWS)], target, axis=1
    )


def _features_of_region(graph: TfliteGraph, operator: Operator) -> None:
    """Cut the features of a region out of a feature map, bilinear between its pixels."""
    data, matrix = operator.inputs
    target = graph.name(operator.outputs[0])
    node = _namer(graph, target)
    _, rows, columns, _ = graph.tensors[data].shape
    width = operator.settings["output_width"]
    height = operator.settings["output_height"]

    # Both grids count from the corner of the first pixel, whose middle is at one half.
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32) + np.float32(0.5)
    pixels = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], axis=1)[None]
    places = node("MatMul", pixels, node("Transpose", graph.name(matrix), perm=(0, 2, 1)))
    flat = node("Gather", places, PLANE, axis=2)
    # GridSample wants -1 at the first pixel's corner and 1 at the last one's.
    spans = np.array([2 / columns, 2 / rows], np.float32)
    places = node("Sub", node("Mul", flat, spans), np.float32(1))
    grid = node("Reshape", places, np.array([1, height, width, 2], np.int64))
    graph.builder.node("GridSample", [graph.name(data), grid], target, padding_mode="border")


def _points_of_region(graph: TfliteGraph, operator: Operator) -> None:
    """Take points [1, n, 2] of a region where its matrix says."""
    points, matrix = operator.inputs
    target = graph.name(operator.outputs[0])
    node = _namer(graph, target)

    upper = node("Gather", graph.name(matrix), PLANE, axis=1)
    rows = node("Transpose", upper, perm=(0, 2, 1))
    linear = node("Gather", rows, PLANE, axis=1)
    origin = node("Gather", rows, np.array([3], np.int64), axis=1)
    turned = node("MatMul", graph.name(points), linear)
    graph.builder.node("Add", [turned, origin], target)


def _namer(graph: TfliteGraph, target: str) -> Callable[..., str]:
    """Return a function that adds a node of the next name below `target`; arrays among its inputs
    become constants.
    """
    count = 0

    def node(kind: str, *inputs: str | np.ndarray | np.generic, **attributes: Attribute) -> str:
        nonlocal count
        count += 1
        output = f"{target}.{count}"
        names = [
            one if isinstance(one, str) else graph.builder.constant(f"{output}.{place}", one)
            for place, one in enumerate(inputs)
        ]
        return graph.builder.node(kind, names, output, **attributes)

    return node


CUSTOM_HANDLERS: dict[str, Callable[[TfliteGraph, Operator], None]] = {
    "Landmarks2TransformMatrix": _region_of_landmarks,
    "TransformTensorBilinear": _features_of_region,
    "TransformLandmarks": _points_of_region,
}
