"""Holds an exported graph to the torch network it came from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime as ort
from torch import Tensor

TOLERANCE = 1e-5  # largest difference of any output value: float32 rounding in another order, nothing more


class ExportMismatchError(ValueError):
    """The exported graph does not compute what the network computes."""


def compare(
    model: onnx.ModelProto,
    inputs: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    *,
    external: Mapping[str, Tensor] | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """Returns the largest difference over all outputs. Raises ExportMismatchError above `tolerance`.

    `external` are the tensors that the graph's session wants handed in.
    """
    options = ort.SessionOptions()
    values = {name: ort.OrtValue.ortvalue_from_numpy(t.detach().numpy()) for name, t in (external or {}).items()}
    options.add_external_initializers(list(values), list(values.values()))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = session.run(list(expected), {name: tensor.detach().numpy() for name, tensor in inputs.items()})
    pairs = zip(expected.items(), outputs, strict=True)
    differences = {name: float(np.abs(output - want.detach().numpy()).max()) for (name, want), output in pairs}
    worst = max(differences, key=differences.__getitem__)
    if not differences[worst] <= tolerance:
        raise ExportMismatchError(f"{worst} differs by {differences[worst]:.2g}, more than {tolerance:.2g}")
    return differences[worst]
