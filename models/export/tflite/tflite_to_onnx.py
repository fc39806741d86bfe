"""Converts the float TensorFlow Lite face models of the open pack to ONNX.

Inside the ONNX graph every four-dimensional tensor is NCHW. The graph takes RGB float32 1x3xHxW in
0..1 (a scale and an offset in the graph make the range that the tflite network wants) and returns
the file's own outputs, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from models.export.tflite.tflite_format import TfliteModel
from models.export.tflite.tflite_graph import TfliteGraph, UnsupportedOperatorError
from models.export.tflite.tflite_operators import HANDLERS


def convert(
    data: bytes,
    outputs: Sequence[str],
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    batch: int = 1,
) -> onnx.ModelProto:
    """Return the ONNX form of a .tflite file with one image input, "image" [batch, 3, H, W].

    `outputs` names the graph outputs in the file's order; the network sees image * scale + offset.
    The batch is fixed, since ONNX Runtime plans memory for known shapes only. Raises
    UnsupportedOperatorError.
    """
    model = TfliteModel(data)
    graph = TfliteGraph(model, scale, offset, batch)

    # In the file's order, which is an order of computation.
    for operator in model.operators:
        if operator.code not in HANDLERS:
            raise UnsupportedOperatorError(f"tflite operator {operator.code} is not supported")
        HANDLERS[operator.code](graph, operator)

    # Outputs are the file's own: callers know its documentation, not our layout.
    for index, output in zip(model.outputs, outputs, strict=True):
        graph.nhwc(index, output)

    _, height, width, channels = model.tensors[model.inputs[0]].shape
    shapes = (graph.batched(index) for index in model.outputs)
    inputs = {"image": (batch, channels, height, width)}
    return graph.builder.build("tflite", inputs, dict(zip(outputs, shapes, strict=True)))
