"""Converts the float TensorFlow Lite face models of the open pack to ONNX.

Inside the ONNX graph every four-dimensional tensor is NCHW. The graph takes RGB float32 1x3xHxW in
0..1 (a scale and an offset in the graph make the range that the tflite network wants) and returns
the file's own outputs, unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import onnx

from models.export.tflite.tflite_format import Operator, TfliteModel
from models.export.tflite.tflite_graph import TfliteGraph, UnsupportedOperatorError
from models.export.tflite.tflite_operators import CUSTOM, HANDLERS
from models.export.tflite.tflite_regions import CUSTOM_HANDLERS


def convert(
    data: bytes,
    outputs: Sequence[str],
    *,
    given: Sequence[str] = (),
    scale: float = 1.0,
    offset: float = 0.0,
    batch: int = 1,
) -> onnx.ModelProto:
    """Return the ONNX form of a .tflite file with one image input, "image" [batch, 3, H, W].

    `outputs` names the graph outputs in the file's order; one without a name is left out, with all
    that only it needs. Tensors that are `given`, by the file's names, are inputs too and not
    computed. The network sees image * scale + offset. The batch is fixed, since ONNX Runtime plans
    memory for known shapes only. Raises UnsupportedOperatorError.
    """
    model = TfliteModel(data)
    graph = TfliteGraph(model, scale, offset, batch)
    kept = {name: index for index, name in zip(model.outputs, outputs, strict=True) if name}
    handed_in = {one.name: index for index, one in enumerate(model.tensors) if one.name in given}

    for name, index in handed_in.items():
        graph.handed_in(index, name)

    # In the file's order, which is an order of computation.
    for operator in _needed(model, kept.values(), handed_in.values()):
        handler = (
            CUSTOM_HANDLERS.get(operator.custom)
            if operator.code == CUSTOM
            else HANDLERS.get(operator.code)
        )
        if handler is None:
            called = operator.custom or operator.code
            raise UnsupportedOperatorError(f"tflite operator {called} is not supported")
        handler(graph, operator)

    # Outputs are the file's own: callers know its documentation, not our layout.
    for name, index in kept.items():
        graph.nhwc(index, name)

    _, height, width, channels = model.tensors[model.inputs[0]].shape
    inputs = {name: graph.batched(index) for name, index in handed_in.items()}
    shapes = {name: graph.batched(index) for name, index in kept.items()}
    ports = {"image": (batch, channels, height, width)} | inputs
    return graph.builder.build("tflite", ports, shapes)


def _needed(
    model: TfliteModel, outputs: Iterable[int], handed_in: Collection[int]
) -> list[Operator]:
    """Return the operators that outputs are computed by from what is handed in, in the file's
    order.
    """
    wanted = set(outputs)
    needed = []

    for operator in reversed(model.operators):
        if wanted.intersection(operator.outputs):
            wanted.update(set(operator.inputs).difference(handed_in))
            needed.append(operator)

    return needed[::-1]
