"""A small writer of TensorFlow Lite graphs: layers in, a flatbuffer out.

Only what the IDN needs, written with LiteRT's own schema and without TensorFlow. Images are NHWC,
as the format's kernels want them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.device.kernels import QuantisedKernel
from models.networks.idn import SLOPE

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
FIRST_SIZE = 4 << 20  # bytes: the builder grows by copying, and an IDN is 1 MB
# Version 2 of DEQUANTIZE is the first that takes float16 (tflite/tools/versioning).
DEQUANTIZE_VERSION = 2
# Codes below this fit the field that old readers know; newer ones are 127 there.
OLD_CODES_END = 127

_operator = schema.BuiltinOperator
_options = schema.BuiltinOptions

Options = object  # one of the schema's classes of options, which have no common base


class TfliteGraph:
    """Collects operators in execution order; every method that makes a tensor returns its index."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # by convention the first one is empty
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[int, int], int] = {}

    def image(self, name: str, size: int, channels: int) -> int:
        """Return an input, float32 [1, size, size, channels]."""
        return self._tensor(name, (1, size, size, channels))

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(int(size) for size in self._tensors[tensor].shape)

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
            self._quantised(f"{name}.weight", weight),
            self._constant(f"{name}.bias", np.zeros(out, np.float32) if bias is None else bias),
        ]
        return self._add(_operator.CONV_2D, inputs, name, shape, options, _options.Conv2DOptions)

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
            self._weight(f"{name}.weight", weight),
            self._constant(f"{name}.bias", np.zeros(channels, np.float32)),
        ]
        kind = _options.DepthwiseConv2DOptions
        return self._add(_operator.DEPTHWISE_CONV_2D, inputs, name, shape, options, kind)

    def leaky_relu(self, x: int, name: str) -> int:
        options = schema.LeakyReluOptionsT()
        options.alpha = SLOPE
        kind = _options.LeakyReluOptions
        return self._add(_operator.LEAKY_RELU, [x], name, self.shape(x), options, kind)

    def enlarge(self, x: int, name: str) -> int:
        """Return `x` twice as large, bilinear with corners aligned, as `networks.idn.upsample`."""
        options = schema.ResizeBilinearOptionsT()
        options.alignCorners = True
        options.halfPixelCenters = False

        _, height, width, channels = self.shape(x)
        size = self._constant(f"{name}.size", np.array([2 * height, 2 * width], np.int32))
        shape = (1, 2 * height, 2 * width, channels)
        kind = _options.ResizeBilinearOptions
        return self._add(_operator.RESIZE_BILINEAR, [x, size], name, shape, options, kind)

    def depth_to_space(self, x: int, name: str) -> int:
        """Return [1, h, w, 4 c] as [1, 2 h, 2 w, c]; the channels of a pixel lie together."""
        options = schema.DepthToSpaceOptionsT()
        options.blockSize = 2

        _, height, width, channels = self.shape(x)
        shape = (1, 2 * height, 2 * width, channels // 4)
        kind = _options.DepthToSpaceOptions
        return self._add(_operator.DEPTH_TO_SPACE, [x], name, shape, options, kind)

    def concatenate(self, left: int, right: int, name: str) -> int:
        """Return the channels of both."""
        options = schema.ConcatenationOptionsT()
        options.axis = 3

        shape = (*self.shape(left)[:3], self.shape(left)[3] + self.shape(right)[3])
        kind = _options.ConcatenationOptions
        return self._add(_operator.CONCATENATION, [left, right], name, shape, options, kind)

    def sigmoid(self, x: int, name: str) -> int:
        return self._add(_operator.LOGISTIC, [x], name, self.shape(x))

    def tanh(self, x: int, name: str) -> int:
        return self._add(_operator.TANH, [x], name, self.shape(x))

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
            self._constant(f"{name}.begin", np.array([0, 0, 0, start], np.int32)),
            self._constant(f"{name}.size", np.array(shape, np.int32)),
        ]
        options = schema.SliceOptionsT()
        return self._add(_operator.SLICE, inputs, name, shape, options, _options.SliceOptions)

    def number(self, value: float) -> int:
        """Return a constant that fits any shape."""
        return self._constant(f"number.{value}", np.array([value], np.float32))

    def build(self, description: str, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        graph = schema.SubGraphT()
        graph.name = b"main"
        graph.tensors = self._tensors
        graph.operators = self._operators
        graph.inputs = np.array(inputs, np.int32)
        graph.outputs = np.array(outputs, np.int32)

        signature = schema.SignatureDefT()
        signature.signatureKey = b"serving_default"
        signature.subgraphIndex = 0
        signature.inputs = [self._port(tensor) for tensor in inputs]
        signature.outputs = [self._port(tensor) for tensor in outputs]

        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = description.encode()
        model.buffers = self._buffers
        model.operatorCodes = [_code(kind, version) for kind, version in self._codes]
        model.subgraphs = [graph]
        model.signatureDefs = [signature]

        builder = flatbuffers.Builder(FIRST_SIZE)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _weight(self, name: str, value: NDArray[np.float16]) -> int:
        """Return a float32 tensor that the file keeps as float16: the interpreter widens it at
        load.
        """
        half = self._constant(f"{name}.half", value)
        return self._add(
            _operator.DEQUANTIZE,
            [half],
            name,
            value.shape,
            schema.DequantizeOptionsT(),
            _options.DequantizeOptions,
            version=DEQUANTIZE_VERSION,
        )

    def _quantised(self, name: str, kernel: QuantisedKernel) -> int:
        quantisation = schema.QuantizationParametersT()
        quantisation.scale = kernel.scales
        quantisation.zeroPoint = np.zeros(len(kernel.scales), np.int64)
        quantisation.quantizedDimension = 0  # of the values, whose outputs come first

        tensor = self._constant(name, kernel.values)
        self._tensors[tensor].quantization = quantisation
        return tensor

    def _constant(self, name: str, value: NDArray[Any]) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self._buffers.append(buffer)

        kinds = {"float32": "FLOAT32", "float16": "FLOAT16", "int8": "INT8", "int32": "INT32"}
        kind = getattr(schema.TensorType, kinds[value.dtype.name])
        return self._tensor(name, value.shape, kind, len(self._buffers) - 1)

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int = schema.TensorType.FLOAT32,
        buffer: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.array(shape, np.int32)
        tensor.type = kind
        tensor.buffer = buffer
        self._tensors.append(tensor)

        return len(self._tensors) - 1

    def _pair(
        self, operator: int, left: int, right: int, name: str, options: Options, kind: int
    ) -> int:
        """Return an operator on two tensors, the smaller of which is repeated over the channels."""
        shape = max(self.shape(left), self.shape(right), key=lambda shape: (len(shape), shape))
        return self._add(operator, [left, right], name, shape, options, kind)

    def _add(
        self,
        operator: int,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        options: Options = None,
        kind: int = _options.NONE,
        version: int = 1,
    ) -> int:
        output = self._tensor(name, shape)
        entry = schema.OperatorT()
        entry.opcodeIndex = self._codes.setdefault((operator, version), len(self._codes))
        entry.inputs = np.array(inputs, np.int32)
        entry.outputs = np.array([output], np.int32)
        entry.builtinOptions = options
        entry.builtinOptionsType = kind
        self._operators.append(entry)

        return output

    def _port(self, tensor: int) -> schema.TensorMapT:
        port = schema.TensorMapT()
        port.name = self._tensors[tensor].name.encode()
        port.tensorIndex = tensor
        return port


def _code(operator: int, version: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = operator
    code.deprecatedBuiltinCode = min(operator, OLD_CODES_END)
    code.version = version
    return code
