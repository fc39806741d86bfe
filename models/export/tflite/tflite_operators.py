"""One function for each TensorFlow Lite operator that the open pack's networks use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.export.graph_builder import Attribute
from models.export.tflite.tflite_format import Operator
from models.export.tflite.tflite_graph import (
    NCHW_AXIS,
    TO_NCHW,
    TfliteGraph,
    UnsupportedOperatorError,
)

# BuiltinOperator. A depthwise convolution is one of which each channel has a kernel of its own;
# what is custom has a name instead of a number.
DEPTHWISE_CONV_2D = 4
CUSTOM = 32


def _convolution(graph: TfliteGraph, operator: Operator) -> None:
    data, weight, bias = operator.inputs
    # TensorFlow has one operator for each; in ONNX a depthwise convolution is one in groups.
    depthwise = operator.code == DEPTHWISE_CONV_2D
    name, kernel = graph.weight(weight, (3, 0, 1, 2) if depthwise else TO_NCHW)
    inputs = [graph.name(data), name, graph.weight(bias)[0]]
    window = graph.window(operator, (kernel.shape[2], kernel.shape[3]))
    # The options' fields are in another order for the two.
    groups = graph.tensors[data].shape[3] if depthwise else 1
    fused = operator.option(4 if depthwise else 3, width=1)
    graph.activated("Conv", inputs, operator.outputs[0], fused, group=groups, **window)


def _max_pool(graph: TfliteGraph, operator: Operator) -> None:
    window = graph.window(operator, (operator.option(4), operator.option(3)))
    fused = operator.option(5, width=1)
    graph.activated(
        "MaxPool", [graph.name(operator.inputs[0])], operator.outputs[0], fused, **window
    )


def _add(graph: TfliteGraph, operator: Operator) -> None:
    inputs = [graph.name(index) for index in operator.inputs]
    graph.activated("Add", inputs, operator.outputs[0], operator.option(0, width=1))


def _multiply(graph: TfliteGraph, operator: Operator) -> None:
    # An image's constant would have to be turned as images are; none of the files has one.
    if graph.rank(operator.outputs[0]) == 4:
        raise UnsupportedOperatorError("a product of four dimensions is not supported")

    inputs = [
        graph.weight(index, range(graph.rank(index)))[0]
        if index in graph.constants
        else graph.name(index)
        for index in operator.inputs
    ]
    graph.activated("Mul", inputs, operator.outputs[0], operator.option(0, width=1))


def _strided_slice(graph: TfliteGraph, operator: Operator) -> None:
    data = operator.inputs[0]
    target = graph.name(operator.outputs[0])
    rank = graph.rank(data)
    # Of all axes, in the file's order.
    begin, end, stride = (graph.constants[index] for index in operator.inputs[1:])
    axes = np.array(NCHW_AXIS if rank == 4 else range(rank))
    limits = {"from": begin, "to": end, "axes": axes, "step": stride}
    inputs = [
        graph.builder.constant(f"{target}.{name}", value.astype(np.int64))
        for name, value in limits.items()
    ]
    graph.builder.node("Slice", [graph.name(data), *inputs], target)


def _concatenation(graph: TfliteGraph, operator: Operator) -> None:
    rank = graph.rank(operator.outputs[0])
    # Counted from the end where it is negative.
    axis = operator.option(0) % rank
    inputs = [graph.name(index) for index in operator.inputs]
    fused = operator.option(1, width=1)
    graph.activated(
        "Concat", inputs, operator.outputs[0], fused, axis=NCHW_AXIS[axis] if rank == 4 else axis
    )


def _relu(graph: TfliteGraph, operator: Operator) -> None:
    graph.builder.node("Relu", [graph.name(operator.inputs[0])], graph.name(operator.outputs[0]))


def _prelu(graph: TfliteGraph, operator: Operator) -> None:
    """PReLU as slope * x + (1 - slope) * relu(x), the products as depthwise 1x1 convolutions.

    ONNX Runtime keeps those in its blocked layout; its own PRelu takes more than half of the face
    mesh's time.
    """
    builder = graph.builder
    x = graph.name(operator.inputs[0])
    y = graph.name(operator.outputs[0])
    slope = graph.constants[operator.inputs[1]].astype(np.float32).reshape(-1, 1, 1, 1)
    window: dict[str, Attribute] = {"group": len(slope), "kernel_shape": (1, 1)}
    positive = builder.node("Relu", [x], f"{y}.positive")
    whole = builder.node("Conv", [x, builder.constant(f"{y}.slope", slope)], f"{y}.whole", **window)
    rest = builder.node(
        "Conv", [positive, builder.constant(f"{y}.rest", 1 - slope)], f"{y}.above", **window
    )
    builder.node("Add", [whole, rest], y)


def _pad(graph: TfliteGraph, operator: Operator) -> None:
    # One row an axis, begin and end: ONNX wants all begins, then all ends.
    before_and_after = graph.constants[operator.inputs[1]][list(TO_NCHW)].T.astype(np.int64)
    pads = graph.builder.constant(graph.name(operator.inputs[1]), before_and_after.reshape(-1))
    graph.builder.node(
        "Pad", [graph.name(operator.inputs[0]), pads], graph.name(operator.outputs[0])
    )


def _reshape(graph: TfliteGraph, operator: Operator) -> None:
    target = operator.outputs[0]
    # A flattened tensor keeps the file's order, which was NHWC.
    flat = f"t{target}.nhwc"
    graph.nhwc(operator.inputs[0], flat)
    shape = graph.builder.constant(f"t{target}.shape", np.array(graph.batched(target), np.int64))

    if graph.rank(target) < 4:
        graph.builder.node("Reshape", [flat, shape], graph.name(target))
        return

    shaped = graph.builder.node("Reshape", [flat, shape], f"t{target}.shaped")
    graph.builder.node("Transpose", [shaped], graph.name(target), perm=TO_NCHW)


def _resize_bilinear(graph: TfliteGraph, operator: Operator) -> None:
    target = operator.outputs[0]
    _, height, width, channels = graph.tensors[target].shape
    sizes = graph.builder.constant(
        f"t{target}.sizes", np.array([graph.batch, channels, height, width], np.int64)
    )
    mode = "half_pixel" if operator.option(3, width=1) else "asymmetric"
    # Align corners wins where a file sets both, as in TensorFlow's own kernel.
    mode = "align_corners" if operator.option(2, width=1) else mode
    inputs = [graph.name(operator.inputs[0]), "", "", sizes]
    graph.builder.node(
        "Resize",
        inputs,
        graph.name(target),
        mode="linear",
        coordinate_transformation_mode=mode,
    )


def _depth_to_space(graph: TfliteGraph, operator: Operator) -> None:
    data = graph.name(operator.inputs[0])
    target = graph.name(operator.outputs[0])
    graph.builder.node("DepthToSpace", [data], target, blocksize=operator.option(0), mode="DCR")


def _constant_cast(graph: TfliteGraph, operator: Operator) -> None:
    """DEQUANTIZE of float16 and DENSIFY of sparse constants: both are plain arrays by now."""
    graph.constants[operator.outputs[0]] = graph.constants[operator.inputs[0]]


HANDLERS: dict[int, Callable[[TfliteGraph, Operator], None]] = {  # by BuiltinOperator
    0: _add,
    2: _concatenation,
    3: _convolution,
    DEPTHWISE_CONV_2D: _convolution,
    5: _depth_to_space,
    6: _constant_cast,
    17: _max_pool,
    18: _multiply,
    19: _relu,
    22: _reshape,
    23: _resize_bilinear,
    34: _pad,
    45: _strided_slice,
    54: _prelu,
    124: _constant_cast,
}
