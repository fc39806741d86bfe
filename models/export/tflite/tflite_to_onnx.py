"""Converts the float TensorFlow Lite face models of the open pack to ONNX.

Inside the ONNX graph every four-dimensional tensor is NCHW. The graph takes RGB float32 1x3xHxW in
0..1 (a scale and an offset in the graph make the range that the tflite network wants) and returns
the file's own outputs, unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from models.export.tflite.tflite_format import Operator, TfliteModel
from models.export.tflite.tflite_graph import TfliteGraph, UnsupportedOperatorError
from models.export.tflite.tflite_operators import CUSTOM, HANDLERS
from models.export.tflite.tflite_regions import CUSTOM_HANDLERS


def convert(
    data: bytes,
    outputs: Sequence[str],
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    batch: int = 1,
) -> onnx.ModelProto:
    """Return the ONNX form of a .tflite file with one image input, "image" [batch, 3, H, W].

    `outputs` names the graph outputs in the file's order; one without a name is left out, with all
    that only it needs. The network sees image * scale + offset. The batch is fixed, since ONNX
    Runtime plans memory for known shapes only. Raises UnsupportedOperatorError.
    """
    model = TfliteModel(data)
    graph = TfliteGraph(model, scale, offset, batch)
    kept = {name: index for index, name in zip(model.outputs, outputs, strict=True) if name}

    # In the file's order, which is an order of computation.
    for operator in _needed(model, kept.values()):
        handler = (
            CUSTOM_HANDLERS.get(operator.custom)
            if operator.code == CUSTOM
            else HANDLERS.get(operator.code)
        )
        if handler is None:
            name = operator.custom or operator.code
            raise UnsupportedOperatorError(f"tflite operator {name} is not supported")
        handler(graph, operator)

    # Outputs are the file's own: callers know its documentation, not our layout.
    for name, index in kept.items():
        graph.nhwc(index, name)

    _, height, width, channels = model.tensors[model.inputs[0]].shape
    shapes = {name: graph.batched(index) for name, index in kept.items()}
    return graph.builder.build("tflite", {"image": (batch, channels, height, width)}, shapes)


def _needed(model: TfliteModel, outputs: Iterable[int]) -> list[Operator]:
    """Return the operators that these tensors are computed by, in the file's order."""
    wanted = set(outputs)
    needed = []

    for operator in reversed(model.operators):
        if wanted.intersection(operator.outputs):
            wanted.update(operator.inputs)
            needed.append(operator)

    return needed[::-1]
