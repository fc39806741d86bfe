"""A pack's graphs for devices, whose specialised tensors are filled in for one identity.

Writing a graph needs a converter and takes 30 ms; filling in a written one is copying bytes. So the
pack carries both forms once, with zeros where the 18 tensors go, and says where that is.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.device.errors import DeviceTemplateError
from models.device.kernels import depthwise, quantise
from models.inference.arrays import Tensor

Form = Literal["litert", "onnx"]
MEMBERS: Mapping[Form, str] = {"litert": "idn.tflite", "onnx": "idn.onnx"}
SLOTS = "slots.json"


@dataclass(frozen=True)
class Slot:
    """Where a graph's file keeps one tensor: `bytes` from `offset` on.

    `part` is how it is kept: its `values` and `scales` in eight bits, a `depthwise` kernel in this
    format's order, or `plain`, as float16 in torch's order.
    """

    tensor: str
    part: Literal["values", "scales", "depthwise", "plain"]
    offset: int
    bytes: int


@dataclass(frozen=True)
class Template:
    """One form of the IDN without an identity."""

    graph: bytes
    slots: tuple[Slot, ...]

    def filled(self, weights: Mapping[str, Tensor]) -> bytes:
        """Return the graph with an identity's 18 tensors, float32 as `SpecialisedWeights` has them.

        Raises `DeviceTemplateError` when they are not the tensors that the graph leaves open.
        """
        missing = {slot.tensor for slot in self.slots} - weights.keys()
        if missing:
            raise DeviceTemplateError(f"the identity's weights lack {', '.join(sorted(missing))}")

        graph = bytearray(self.graph)
        parts: dict[tuple[str, str], NDArray[np.generic]] = {}

        for name in {slot.tensor for slot in self.slots}:
            parts |= {(name, part): value for part, value in _parts(name, weights[name]).items()}

        for slot in self.slots:
            data = parts[slot.tensor, slot.part].tobytes()
            if len(data) != slot.bytes:
                raise DeviceTemplateError(f"the identity's {slot.tensor} does not fit this pack")
            graph[slot.offset : slot.offset + slot.bytes] = data

        return bytes(graph)


def load_templates(path: Path) -> Mapping[Form, Template]:
    """Read a pack's templates.

    Raises `DeviceTemplateError` when the file is not one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            slots = json.loads(archive.read(SLOTS))
            return {
                form: Template(archive.read(name), tuple(Slot(**slot) for slot in slots[form]))
                for form, name in MEMBERS.items()
            }
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DeviceTemplateError(f"{path.name} holds no graphs for devices") from error


def _parts(name: str, weight: Tensor) -> dict[str, NDArray[np.generic]]:
    """Return a tensor in every way that a graph may keep it."""
    parts: dict[str, NDArray[np.generic]] = {"plain": np.asarray(weight, np.float16)}

    if name.endswith("depthwise"):
        parts["depthwise"] = depthwise(weight)
    else:
        kernel = quantise(weight)
        parts |= {"values": kernel.values, "scales": kernel.scales}

    return parts
