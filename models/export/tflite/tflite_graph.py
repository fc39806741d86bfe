"""The ONNX side of a conversion from TensorFlow Lite: names, layouts, weights and windows.

Inside the graph every four-dimensional tensor is NCHW, as ONNX has it; the file's are NHWC.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.export.graph_builder import Attribute, GraphBuilder
from models.export.tflite.tflite_format import Operator, TfliteModel

SAME = 0  # Padding.SAME; 1 is VALID
# Numbers of `ActivationFunctionType` in TensorFlow's schema.fbs.
FUSED_RELU = 1
FUSED_RELU6 = 3
TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)
NCHW_AXIS = (0, 2, 3, 1)  # where an NHWC axis lies afterwards


class UnsupportedOperatorError(ValueError):
    """The file holds an operator that none of the open pack's models uses."""


class TfliteGraph:
    """An ONNX graph that grows from a .tflite file; tensors are called by their number there."""

    def __init__(self, model: TfliteModel, scale: float, offset: float, batch: int) -> None:
        self.builder = GraphBuilder()
        self.batch = batch
        self.model = model
        self.tensors = model.tensors
        self.constants = {
            i: t.constant for i, t in enumerate(self.tensors) if t.constant is not None
        }
        # Scale and offset are part of the graph: whoever runs it gives RGB in 0..1, whatever was
        # trained.
        scaled = self.builder.node(
            "Mul", ["image", self.builder.constant("scale", np.float32(scale))], "scaled"
        )
        self.builder.node(
            "Add",
            [scaled, self.builder.constant("offset", np.float32(offset))],
            self.name(model.inputs[0]),
        )

    def nhwc(self, index: int, output: str) -> None:
        """Add a tensor as `output` in the file's own layout."""
        if self.rank(index) == 4:
            self.builder.node("Transpose", [self.name(index)], output, perm=TO_NHWC)
        else:
            self.builder.node("Identity", [self.name(index)], output)

    def handed_in(self, index: int, source: str) -> None:
        """Take a tensor from the graph input `source`, which has the file's own layout."""
        if self.rank(index) == 4:
            self.builder.node("Transpose", [source], self.name(index), perm=TO_NCHW)
        else:
            self.builder.node("Identity", [source], self.name(index))

    def batched(self, index: int) -> tuple[int, ...]:
        """Return a tensor's shape in the graph; the file's own always holds one image."""
        # The first axis is the batch: one in the file, what was asked for in the graph.
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
        return self.builder.constant(self.name(index), value), value

    def activated(
        self, kind: str, inputs: Sequence[str], index: int, fused: int, **attributes: Attribute
    ) -> None:
        """Add a node whose result passes through the operator's fused activation."""
        output = self.name(index)
        linear = self.builder.node(
            kind, inputs, f"{output}.linear" if fused else output, **attributes
        )

        if fused == FUSED_RELU:
            self.builder.node("Relu", [linear], output)
        elif fused == FUSED_RELU6:
            bounds = [
                self.builder.constant("zero", np.float32(0)),
                self.builder.constant("six", np.float32(6)),
            ]
            self.builder.node("Clip", [linear, *bounds], output)
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
            # As TensorFlow computes SAME: as many outputs as strides fit, rounded up.
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, s, k in zip(sizes, strides, kernel, strict=True)
        ]
        starts = [pad // 2 for pad in pads]
        ends = [pad - start for pad, start in zip(pads, starts, strict=True)]

        return {"kernel_shape": kernel, "strides": strides, "pads": starts + ends}
