"""The layers of an IDN as TensorFlow Lite operators.

Only what it needs. Images are NHWC, as the format's kernels want them.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.device.kernels import QuantisedKernel
from models.export.tflite.tflite_file import Options, TfliteFile
from models.networks.idn import SLOPE

_operator = schema.BuiltinOperator
_options = schema.BuiltinOptions


class TfliteGraph(TfliteFile):
    """A file that is written layer by layer; every method returns the tensor that it makes."""

    def image(self, name: str, size: int, channels: int) -> int:
        """Return an input, float32 [1, size, size, channels]."""
        return self.tensor(name, (1, size, size, channels))

    def convolution(
        self,
        x: int,
        name: str,
        weight: QuantisedKernel,
        bias: NDArray[np.float32] | None = None,
    ) -> int:
        """Return a convolution of stride 1 that keeps the size.

        XNNPACK quantises its input as it comes, image by image, and multiplies in integers.
        """
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = 1
        options.strideW = 1
        options.dilationHFactor = 1
        options.dilationWFactor = 1

        out = len(weight.scales)
        shape = (*self.shape(x)[:3], out)
        inputs = [
            x,
            self.quantised(f"{name}.weight", weight),
            self.constant(f"{name}.bias", np.zeros(out, np.float32) if bias is None else bias),
        ]
        return self.operator(
            _operator.CONV_2D, inputs, name, shape, options, _options.Conv2DOptions
        )

    def depthwise(self, x: int, name: str, weight: NDArray[np.float16], stride: int) -> int:
        """Return a depthwise convolution; `weight` is [1, k, k, channels].

        The format's SAME padding is one pixel on every side both for k = 3 with stride 1 and for
        k = 4 with stride 2 on an even size: what torch was told.
        """
        options = schema.DepthwiseConv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = stride
        options.strideW = stride
        options.depthMultiplier = 1
        options.dilationHFactor = 1
        options.dilationWFactor = 1

        _, height, width, channels = self.shape(x)
        shape = (1, height // stride, width // stride, channels)
        inputs = [
            x,
            self.weight(f"{name}.weight", weight),
            self.constant(f"{name}.bias", np.zeros(channels, np.float32)),
        ]
        kind = _options.DepthwiseConv2DOptions
        return self.operator(_operator.DEPTHWISE_CONV_2D, inputs, name, shape, options, kind)

    def leaky_relu(self, x: int, name: str) -> int:
        options = schema.LeakyReluOptionsT()
        options.alpha = SLOPE
        kind = _options.LeakyReluOptions
        return self.operator(_operator.LEAKY_RELU, [x], name, self.shape(x), options, kind)

    def enlarge(self, x: int, name: str) -> int:
        """Return `x` twice as large, bilinear with corners aligned, as `networks.idn.upsample`."""
        options = schema.ResizeBilinearOptionsT()
        options.alignCorners = True
        options.halfPixelCenters = False

        _, height, width, channels = self.shape(x)
        size = self.constant(f"{name}.size", np.array([2 * height, 2 * width], np.int32))
        shape = (1, 2 * height, 2 * width, channels)
        kind = _options.ResizeBilinearOptions
        return self.operator(_operator.RESIZE_BILINEAR, [x, size], name, shape, options, kind)

    def depth_to_space(self, x: int, name: str) -> int:
        """Return [1, h, w, 4 c] as [1, 2 h, 2 w, c]; the channels of a pixel lie together."""
        options = schema.DepthToSpaceOptionsT()
        options.blockSize = 2

        _, height, width, channels = self.shape(x)
        shape = (1, 2 * height, 2 * width, channels // 4)
        kind = _options.DepthToSpaceOptions
        return self.operator(_operator.DEPTH_TO_SPACE, [x], name, shape, options, kind)

    def concatenate(self, left: int, right: int, name: str) -> int:
        """Return the channels of both."""
        options = schema.ConcatenationOptionsT()
        options.axis = 3

        shape = (*self.shape(left)[:3], self.shape(left)[3] + self.shape(right)[3])
        kind = _options.ConcatenationOptions
        return self.operator(_operator.CONCATENATION, [left, right], name, shape, options, kind)

    def sigmoid(self, x: int, name: str) -> int:
        return self.operator(_operator.LOGISTIC, [x], name, self.shape(x))

    def tanh(self, x: int, name: str) -> int:
        return self.operator(_operator.TANH, [x], name, self.shape(x))

    def add(self, left: int, right: int, name: str) -> int:
        return self._pair(
            _operator.ADD, left, right, name, schema.AddOptionsT(), _options.AddOptions
        )

    def add_clipped(self, left: int, right: int, name: str) -> int:
        """Return the sum within -1..1."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU_N1_TO_1
        return self._pair(_operator.ADD, left, right, name, options, _options.AddOptions)

    def subtract(self, left: int, right: int, name: str) -> int:
        return self._pair(
            _operator.SUB, left, right, name, schema.SubOptionsT(), _options.SubOptions
        )

    def multiply(self, left: int, right: int, name: str) -> int:
        return self._pair(
            _operator.MUL, left, right, name, schema.MulOptionsT(), _options.MulOptions
        )

    def channels(self, x: int, start: int, end: int, name: str) -> int:
        """Return the channels from `start` to `end`."""
        shape = (*self.shape(x)[:3], end - start)
        inputs = [
            x,
            self.constant(f"{name}.begin", np.array([0, 0, 0, start], np.int32)),
            self.constant(f"{name}.size", np.array(shape, np.int32)),
        ]
        options = schema.SliceOptionsT()
        return self.operator(_operator.SLICE, inputs, name, shape, options, _options.SliceOptions)

    def number(self, value: float) -> int:
        """Return a constant that fits any shape."""
        return self.constant(f"number.{value}", np.array([value], np.float32))

    def _pair(
        self, operator: int, left: int, right: int, name: str, options: Options, kind: int
    ) -> int:
        """Return an operator on two tensors, the smaller of which is repeated over the channels."""
        shape = max(self.shape(left), self.shape(right), key=lambda shape: (len(shape), shape))
        return self.operator(operator, [left, right], name, shape, options, kind)
