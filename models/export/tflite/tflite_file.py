"""A TensorFlow Lite file in the making: tensors, operators and the flatbuffer they end in.

Written with LiteRT's own schema and without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.device.kernels import QuantisedKernel

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
FIRST_SIZE = 4 << 20  # bytes: the builder grows by copying, and an IDN is 1 MB
# Version 2 of DEQUANTIZE is the first that takes float16 (tflite/tools/versioning).
DEQUANTIZE_VERSION = 2
# Codes below this fit the field that old readers know; newer ones are 127 there.
OLD_CODES_END = 127

Options = object  # one of the schema's classes of options, which have no common base


class TfliteFile:
    """Collects tensors and operators in execution order; tensors are known by their index."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # by convention the first one is empty
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[int, int], int] = {}

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(int(size) for size in self._tensors[tensor].shape)

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

    def weight(self, name: str, value: NDArray[np.float16]) -> int:
        """Return a float32 tensor that the file keeps as float16: the interpreter widens it at
        load.
        """
        half = self.constant(f"{name}.half", value)
        return self.operator(
            schema.BuiltinOperator.DEQUANTIZE,
            [half],
            name,
            value.shape,
            schema.DequantizeOptionsT(),
            schema.BuiltinOptions.DequantizeOptions,
            version=DEQUANTIZE_VERSION,
        )

    def quantised(self, name: str, kernel: QuantisedKernel) -> int:
        quantisation = schema.QuantizationParametersT()
        quantisation.scale = kernel.scales
        quantisation.zeroPoint = np.zeros(len(kernel.scales), np.int64)
        quantisation.quantizedDimension = 0  # of the values, whose outputs come first

        tensor = self.constant(name, kernel.values)
        self._tensors[tensor].quantization = quantisation
        return tensor

    def constant(self, name: str, value: NDArray[Any]) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self._buffers.append(buffer)

        kinds = {"float32": "FLOAT32", "float16": "FLOAT16", "int8": "INT8", "int32": "INT32"}
        kind = getattr(schema.TensorType, kinds[value.dtype.name])
        return self.tensor(name, value.shape, kind, len(self._buffers) - 1)

    def tensor(
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

    def operator(
        self,
        operator: int,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        options: Options = None,
        kind: int = schema.BuiltinOptions.NONE,
        version: int = 1,
    ) -> int:
        output = self.tensor(name, shape)
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
