"""Converts the float TensorFlow Lite face models of the open pack to ONNX.

Inside the ONNX graph every four-dimensional tensor is NCHW. The graph takes RGB float32 1x3xHxW in
0..1 (a scale and an offset in the graph make the range that the tflite network wants) and returns
the file's own outputs, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from models.export.graph_builder import Attribute, GraphBuilder
from models.export.tflite_format import Operator, TfliteModel

DEPTHWISE_CONV_2D = 4
SAME = 0  # Padding.SAME; 1 is VALID
FUSED_RELU = 1
FUSED_RELU6 = 3
TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)
NCHW_AXIS = (0, 2, 3, 1)  # where an NHWC axis lies afterwards


class UnsupportedOperatorError(ValueError):
    """The file holds an operator that none of the open pack's models uses."""


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
    conversion = _Conversion(TfliteModel(data), scale, offset, batch)
    return conversion.run(outputs)


class _Conversion:
    def __init__(self, model: TfliteModel, scale: float, offset: float, batch: int) -> None:
        self.graph = GraphBuilder()
        self.batch = batch
        self.model = model
        self.tensors = model.tensors
        self.constants = {
            i: t.constant for i, t in enumerate(self.tensors) if t.constant is not None
        }
        scaled = self.graph.node(
            "Mul", ["image", self.graph.constant("scale", np.float32(scale))], "scaled"
        )
        self.graph.node(
            "Add",
            [scaled, self.graph.constant("offset", np.float32(offset))],
            self.name(model.inputs[0]),
        )

    def run(self, outputs: Sequence[str]) -> onnx.ModelProto:
        for operator in self.model.operators:
            if operator.code not in _HANDLERS:
                raise UnsupportedOperatorError(f"tflite operator {operator.code} is not supported")
            _HANDLERS[operator.code](self, operator)

        for index, output in zip(self.model.outputs, outputs, strict=True):
            self.nhwc(index, output)

        _, height, width, channels = self.tensors[self.model.inputs[0]].shape
        shapes = (self.batched(index) for index in self.model.outputs)
        inputs = {"image": (self.batch, channels, height, width)}

        return self.graph.build("tflite", inputs, dict(zip(outputs, shapes, strict=True)))

    def nhwc(self, index: int, output: str) -> None:
        """Add a tensor as `output` in the file's own layout."""
        if self.rank(index) == 4:
            self.graph.node("Transpose", [self.name(index)], output, perm=TO_NHWC)
        else:
            self.graph.node("Identity", [self.name(index)], output)

    def batched(self, index: int) -> tuple[int, ...]:
        """Return a tensor's shape in the graph; the file's own always holds one image."""
        return (self.batch, *self.tensors[index].shape[1:])

    def rank(self, index: int) -> int:
        return len(self.tensors[index].shape)

    def name(self, index: int) -> str:
        return f"t{index}"

    def weight(
        self, index: int, permutation: Sequence[int] = (0,)
    ) -> tuple[str, NDArray[np.float32]]:
        """Put a constant into the graph as float32 with its axes permuted."""
        value = self.constants[index].astype(np.float32).transpose(permutation)
        return self.graph.constant(self.name(index), value), value

    def activated(
        self, kind: str, inputs: Sequence[str], index: int, fused: int, **attributes: Attribute
    ) -> None:
        """Add a node whose result passes through the operator's fused activation."""
        output = self.name(index)
        linear = self.graph.node(
            kind, inputs, f"{output}.linear" if fused else output, **attributes
        )

        if fused == FUSED_RELU:
            self.graph.node("Relu", [linear], output)
        elif fused == FUSED_RELU6:
            bounds = [
                self.graph.constant("zero", np.float32(0)),
                self.graph.constant("six", np.float32(6)),
            ]
            self.graph.node("Clip", [linear, *bounds], output)
        elif fused:
            raise UnsupportedOperatorError(f"tflite activation {fused} is not supported")

    def window(self, operator: Operator, kernel: tuple[int, int]) -> dict[str, Attribute]:
        """Kernel, strides and explicit pads of a sliding window.

        Tflite's SAME puts the odd pixel at the end.
        """
        strides = (operator.option(2), operator.option(1))
        if operator.option(0, width=1) != SAME:
            return {"kernel_shape": kernel, "strides": strides}

        sizes = self.tensors[operator.inputs[0]].shape[1:3]
        pads = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, s, k in zip(sizes, strides, kernel, strict=True)
        ]
        starts = [pad // 2 for pad in pads]
        ends = [pad - start for pad, start in zip(pads, starts, strict=True)]

        return {"kernel_shape": kernel, "strides": strides, "pads": starts + ends}


def _convolution(conversion: _Conversion, operator: Operator) -> None:
    data, weight, bias = operator.inputs
    depthwise = operator.code == DEPTHWISE_CONV_2D
    name, kernel = conversion.weight(weight, (3, 0, 1, 2) if depthwise else TO_NCHW)
    inputs = [conversion.name(data), name, conversion.weight(bias)[0]]
    window = conversion.window(operator, (kernel.shape[2], kernel.shape[3]))
    groups = conversion.tensors[data].shape[3] if depthwise else 1
    fused = operator.option(4 if depthwise else 3, width=1)
    conversion.activated("Conv", inputs, operator.outputs[0], fused, group=groups, **window)


def _max_pool(conversion: _Conversion, operator: Operator) -> None:
    window = conversion.window(operator, (operator.option(4), operator.option(3)))
    fused = operator.option(5, width=1)
    conversion.activated(
        "MaxPool", [conversion.name(operator.inputs[0])], operator.outputs[0], fused, **window
    )


def _add(conversion: _Conversion, operator: Operator) -> None:
    inputs = [conversion.name(index) for index in operator.inputs]
    conversion.activated("Add", inputs, operator.outputs[0], operator.option(0, width=1))


def _concatenation(conversion: _Conversion, operator: Operator) -> None:
    rank = conversion.rank(operator.outputs[0])
    axis = operator.option(0) % rank
    inputs = [conversion.name(index) for index in operator.inputs]
    fused = operator.option(1, width=1)
    conversion.activated(
        "Concat", inputs, operator.outputs[0], fused, axis=NCHW_AXIS[axis] if rank == 4 else axis
    )


def _relu(conversion: _Conversion, operator: Operator) -> None:
    conversion.graph.node(
        "Relu", [conversion.name(operator.inputs[0])], conversion.name(operator.outputs[0])
    )


def _prelu(conversion: _Conversion, operator: Operator) -> None:
    """PReLU as slope * x + (1 - slope) * relu(x), the products as depthwise 1x1 convolutions.

    ONNX Runtime keeps those in its blocked layout; its own PRelu takes more than half of the face
    mesh's time.
    """
    graph = conversion.graph
    x = conversion.name(operator.inputs[0])
    y = conversion.name(operator.outputs[0])
    slope = conversion.constants[operator.inputs[1]].astype(np.float32).reshape(-1, 1, 1, 1)
    window: dict[str, Attribute] = {"group": len(slope), "kernel_shape": (1, 1)}
    positive = graph.node("Relu", [x], f"{y}.positive")
    whole = graph.node("Conv", [x, graph.constant(f"{y}.slope", slope)], f"{y}.whole", **window)
    rest = graph.node(
        "Conv", [positive, graph.constant(f"{y}.rest", 1 - slope)], f"{y}.above", **window
    )
    graph.node("Add", [whole, rest], y)


def _pad(conversion: _Conversion, operator: Operator) -> None:
    before_and_after = conversion.constants[operator.inputs[1]][list(TO_NCHW)].T.astype(np.int64)
    pads = conversion.graph.constant(
        conversion.name(operator.inputs[1]), before_and_after.reshape(-1)
    )
    conversion.graph.node(
        "Pad", [conversion.name(operator.inputs[0]), pads], conversion.name(operator.outputs[0])
    )


def _reshape(conversion: _Conversion, operator: Operator) -> None:
    target = operator.outputs[0]
    if conversion.rank(target) == 4:
        raise UnsupportedOperatorError("a reshape to four dimensions is not supported")

    flat = f"t{target}.nhwc"
    conversion.nhwc(operator.inputs[0], flat)
    shape = conversion.graph.constant(
        f"t{target}.shape", np.array(conversion.batched(target), np.int64)
    )
    conversion.graph.node("Reshape", [flat, shape], conversion.name(target))


def _resize_bilinear(conversion: _Conversion, operator: Operator) -> None:
    target = operator.outputs[0]
    _, height, width, channels = conversion.tensors[target].shape
    sizes = conversion.graph.constant(
        f"t{target}.sizes", np.array([conversion.batch, channels, height, width], np.int64)
    )
    mode = "half_pixel" if operator.option(3, width=1) else "asymmetric"
    mode = "align_corners" if operator.option(2, width=1) else mode
    inputs = [conversion.name(operator.inputs[0]), "", "", sizes]
    conversion.graph.node(
        "Resize",
        inputs,
        conversion.name(target),
        mode="linear",
        coordinate_transformation_mode=mode,
    )


def _depth_to_space(conversion: _Conversion, operator: Operator) -> None:
    data = conversion.name(operator.inputs[0])
    target = conversion.name(operator.outputs[0])
    conversion.graph.node("DepthToSpace", [data], target, blocksize=operator.option(0), mode="DCR")


def _constant_cast(conversion: _Conversion, operator: Operator) -> None:
    """DEQUANTIZE of float16 and DENSIFY of sparse constants: both are plain arrays by now."""
    conversion.constants[operator.outputs[0]] = conversion.constants[operator.inputs[0]]


_HANDLERS: dict[int, Callable[[_Conversion, Operator], None]] = {  # by BuiltinOperator
    0: _add,
    2: _concatenation,
    3: _convolution,
    DEPTHWISE_CONV_2D: _convolution,
    5: _depth_to_space,
    6: _constant_cast,
    17: _max_pool,
    19: _relu,
    22: _reshape,
    23: _resize_bilinear,
    34: _pad,
    54: _prelu,
    124: _constant_cast,
}
