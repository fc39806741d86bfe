"""Reads Paddle checkpoints without trusting them, and names and lays out their weights as torch
does.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.packs.errors import CheckpointError

Arrays = dict[str, NDArray[np.float32]]

PARAMETER_NAMES = (
    "StructuredToParameterName@@"  # a table of names that newer Paddle files carry along
)

# What a pickled dictionary of arrays needs, and nothing that could do more than make one; numpy 1
# wrote `numpy.core`.
ALLOWED = {
    ("collections", "OrderedDict"): ("collections", "OrderedDict"),
    ("numpy", "ndarray"): ("numpy", "ndarray"),
    ("numpy", "dtype"): ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
}


def read_checkpoint(data: bytes, *, size: int, sha256: str) -> Arrays:
    """Return name -> float32 array of a checkpoint whose size and SHA-256 are known.

    Takes the three forms that Paddle has written: name -> array, the same with a table of parameter
    names, and name -> (name, array). Raises CheckpointError before anything is unpickled when size
    or hash differ.
    """
    # Size and hash before anything is unpickled: a pickle of somebody else's is a program.
    if len(data) != size:
        raise CheckpointError(f"the checkpoint has {len(data):,} bytes instead of {size:,}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError("the checkpoint is not the released file: its SHA-256 differs")
    try:
        loaded = _ArrayUnpickler(io.BytesIO(data)).load()
    except (
        pickle.UnpicklingError,
        EOFError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        KeyError,
    ) as error:
        raise CheckpointError(f"the checkpoint cannot be read: {error}") from error

    if not isinstance(loaded, dict):
        raise CheckpointError("the checkpoint is not a dictionary of arrays")

    return {
        str(name): _array(str(name), value)
        for name, value in loaded.items()
        if name != PARAMETER_NAMES
    }


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  pickle's own signature
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")
        return super().find_class(*ALLOWED[module, name])


def _array(name: str, value: object) -> NDArray[np.float32]:
    # Newer Paddle stores an array as a pair of name and values.
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    # Nothing is converted in silence: another type is another release.
    if not isinstance(value, np.ndarray) or value.dtype != np.float32:
        raise CheckpointError(f"{name} is not a float32 array")
    return value


def load_into(network: nn.Module, arrays: Mapping[str, NDArray[np.float32]]) -> set[str]:
    """Fill a network from Paddle's arrays and return the names it used.

    Paddle stores linear weights [in, out], calls running statistics `_mean` and `_variance` and a
    PReLU's slope `_weight`. Raises CheckpointError when a name is missing or a shape differs.
    """
    state = {}
    used = set()

    for ours, theirs, transpose in _correspondence(network):
        if theirs not in arrays:
            raise CheckpointError(f"the checkpoint lacks {theirs}")

        array = arrays[theirs].T if transpose else arrays[theirs]
        expected = tuple(network.state_dict()[ours].shape)

        if array.shape != expected:
            raise CheckpointError(
                f"{theirs} has shape {list(array.shape)} instead of {list(expected)}"
            )

        state[ours] = torch.from_numpy(np.ascontiguousarray(array))
        used.add(theirs)

    network.load_state_dict(state | _counters(network))
    return used


def _correspondence(network: nn.Module) -> Iterator[tuple[str, str, bool]]:
    """Yield our name, Paddle's name and whether the array is to be transposed, for every tensor of
    the network.
    """
    for prefix, module in network.named_modules():
        dot = f"{prefix}." if prefix else ""
        for name, _ in [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]:
            if f"{dot}{name}" in network.state_dict() and name != "num_batches_tracked":
                # Paddle's own names for what torch calls otherwise.
                theirs = {"running_mean": "_mean", "running_var": "_variance"}.get(name, name)
                theirs = "_weight" if isinstance(module, nn.PReLU) else theirs
                yield (
                    f"{dot}{name}",
                    f"{dot}{theirs}",
                    isinstance(module, nn.Linear) and name == "weight",
                )


def _counters(network: nn.Module) -> dict[str, Tensor]:
    # How often a norm was trained, which Paddle does not keep and inference does not read.
    return {
        name: value
        for name, value in network.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
