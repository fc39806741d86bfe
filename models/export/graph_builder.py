"""A small writer of ONNX graphs: nodes and initializers in, a checked model out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# It has all that the graphs use; a newer one would ask for a newer runtime.
OPSET = 17
IR_VERSION = 9  # the oldest that opset 17 models of every supported runtime may carry
HANDED_IN = "handed-in-at-load"  # where a file would be named; none exists

Attribute = int | float | str | Sequence[int]


class GraphBuilder:
    """Collects nodes in execution order; every method that makes a tensor returns its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._external: dict[str, list[int]] = {}

    def constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        """Return an initializer of that name; a name used again must mean the same value."""
        array = np.asarray(value)
        self._initializers[name] = numpy_helper.from_array(
            np.ascontiguousarray(array).reshape(array.shape), name
        )
        return name

    def half_constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Return a float32 tensor stored as float16: half the file.

        ONNX Runtime folds the cast once, at load.
        """
        stored = self.constant(f"{name}.half", value.astype(np.float16))
        return self.node("Cast", [stored], name, to=TensorProto.FLOAT)

    def external_constant(self, name: str, shape: Sequence[int]) -> str:
        """Return a float32 initializer that the file leaves out: whoever opens the session hands it
        in by name.

        ONNX Runtime treats it as a constant all the same, so that its weight layouts and fusions
        still apply (SessionOptions.add_external_initializers).
        """
        self._external[name] = list(shape)
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        node = helper.make_node(kind, list(inputs), [output])
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self._nodes.append(node)

        return output

    def build(
        self,
        name: str,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
    ) -> onnx.ModelProto:
        """Return the model with float32 inputs and outputs of these shapes, after onnx's full
        check.
        """
        handed_in = _float_values(self._external)
        # What is handed in is listed among the inputs, so that its type and shape are known.
        ports = [*_float_values(inputs), *handed_in], _float_values(outputs)
        graph = helper.make_graph(self._nodes, name, *ports, list(self._initializers.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        # The checker would look for a file behind every external initializer, so it sees them as
        # inputs.
        onnx.checker.check_model(model, full_check=True)
        del model.graph.input[len(inputs) :]
        model.graph.initializer.extend(_external_tensor(*item) for item in self._external.items())

        return model


def _external_tensor(name: str, shape: Sequence[int]) -> onnx.TensorProto:
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=HANDED_IN)
    return tensor


def _float_values(
    shapes: Mapping[str, Sequence[int | str]] | Mapping[str, list[int]],
) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name, shape in shapes.items()
    ]
