"""Holds an exported graph to the torch network it came from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from models.inference.runtime import ort

TOLERANCE = 1e-5  # float32 rounding in another order, nothing more


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
    """Return the largest difference over all outputs; those that exceed 1 count relative to their
    largest value.

    Raises ExportMismatchError above `tolerance`. `external` are the tensors that the graph's
    session wants handed in.
    """
    options = ort.SessionOptions()
    values = {
        name: ort.OrtValue.ortvalue_from_numpy(t.detach().numpy())
        for name, t in (external or {}).items()
    }
    # Specialised weights are no inputs of the graph but initializers that are handed in, as in
    # production.
    options.add_external_initializers(list(values), list(values.values()))
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = session.run(
        list(expected), {name: tensor.detach().numpy() for name, tensor in inputs.items()}
    )
    pairs = zip(expected.items(), outputs, strict=True)
    differences = {
        name: _difference(output, want.detach().numpy()) for (name, want), output in pairs
    }
    worst = max(differences, key=differences.__getitem__)

    # Written so that a NaN fails too: it is not <= anything.
    if not differences[worst] <= tolerance:
        raise ExportMismatchError(
            f"{worst} differs by {differences[worst]:.2g}, more than {tolerance:.2g}"
        )

    return differences[worst]


# Relative to the largest value, but not to less than 1: tiny outputs may differ by rounding.
def _difference(output: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(output - expected).max() / max(1.0, np.abs(expected).max()))
