"""Writes the pack's graphs for devices, in both forms, with zeros where an identity's tensors go
(`models/device/template.py` fills them in).

Each tensor is first written with random numbers, which are then searched for in the file: no
reader of either format is needed to know where a tensor came to lie.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.device.kernels import DENSE_AXES, DEPTHWISE_AXES, LEVELS, QuantisedKernel
from models.device.template import MEMBERS, SLOTS, Slot
from models.export.tflite.idn_to_tflite import Kernels, export_idn_tflite
from models.networks.body_layers import specialised_shapes

INPUTS = 6
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip can hold: equal inputs give equal bytes


def write_device_templates(idn: Path, destination: Path) -> None:
    """Write the templates of the graph `idn`, the pack's own with a blend head, to `destination`.

    Raises `ValueError` when the graph has no blend head: the official pack is not exported.
    """
    shared = onnx.load(str(idn), load_external_data=False)
    members = {
        "litert": _litert(_constant(shared, "final.weight"), _constant(shared, "final.bias")),
        "onnx": _onnx(shared),
    }

    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for form, name in MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), members[form][0], zipfile.ZIP_DEFLATED)

        slots = {form: [asdict(slot) for slot in found] for form, (_, found) in members.items()}
        archive.writestr(zipfile.ZipInfo(SLOTS, EPOCH), json.dumps(slots), zipfile.ZIP_DEFLATED)


def _litert(
    head_weight: NDArray[np.float32], head_bias: NDArray[np.float32]
) -> tuple[bytes, list[Slot]]:
    random = np.random.default_rng(0)
    depthwise: dict[str, NDArray[np.float16]] = {}
    pointwise: dict[str, QuantisedKernel] = {}

    for name, shape in specialised_shapes(INPUTS).items():
        if name.endswith("depthwise"):
            turned = tuple(shape[axis] for axis in DEPTHWISE_AXES)
            depthwise[name] = random.random(turned).astype(np.float16)
        else:
            turned = tuple(shape[axis] for axis in DENSE_AXES)
            values = random.integers(-LEVELS, LEVELS, turned, dtype=np.int8)
            pointwise[name] = QuantisedKernel(values, random.random(shape[0], np.float32))

    graph = export_idn_tflite(Kernels(depthwise, pointwise), head_weight, head_bias)
    markers: dict[tuple[str, str], bytes] = {
        (name, "depthwise"): kernel.tobytes() for name, kernel in depthwise.items()
    }
    markers |= {(name, "values"): kernel.values.tobytes() for name, kernel in pointwise.items()}
    markers |= {(name, "scales"): kernel.scales.tobytes() for name, kernel in pointwise.items()}

    return _emptied(graph, markers)


def _onnx(shared: onnx.ModelProto) -> tuple[bytes, list[Slot]]:
    """Return the shared graph with its external tensors inside it, in float16."""
    random = np.random.default_rng(0)
    model = onnx.ModelProto()
    model.CopyFrom(shared)
    external = [
        tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL
    ]
    markers: dict[tuple[str, str], bytes] = {}

    for tensor in external:
        value = random.random(tuple(tensor.dims)).astype(np.float16)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(numpy_helper.from_array(value, f"{tensor.name}.half"))
        markers[tensor.name, "plain"] = value.tobytes()

    casts = [
        helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=TensorProto.FLOAT)
        for tensor in external
    ]
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model, full_check=True)

    return _emptied(model.SerializeToString(), markers)


def _emptied(graph: bytes, markers: Mapping[tuple[str, str], bytes]) -> tuple[bytes, list[Slot]]:
    """Return the graph with zeros where the markers were, and where that is."""
    slots = []
    emptied = bytearray(graph)

    for (tensor, part), marker in markers.items():
        if graph.count(marker) != 1:
            raise ValueError(f"{tensor} lies {graph.count(marker)} times in the graph")

        offset = graph.index(marker)
        emptied[offset : offset + len(marker)] = bytes(len(marker))
        slots.append(Slot(tensor, part, offset, len(marker)))  # type: ignore[arg-type]

    return bytes(emptied), slots


def _constant(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor), np.float32)
    raise ValueError(f"the graph has no {name}: only a blend head can be exported")
