"""OpenVINO for the networks that make images: in bfloat16 on CPUs whose matrix units (AMX) take it,
at half the time of ONNX Runtime. Installed by the extra `openvino`.

The only module that imports it (ruff's banned imports see to that), because its Python package
tells its maker of every import unless the package that does so is out of reach by then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from models.inference.arrays import Tensor
from models.inference.errors import BadIdentityError

OPENVINO = "OpenVINO bf16"
TELEMETRY = "openvino_telemetry"
CPU_INFO = Path("/proc/cpuinfo")
MATRIX_UNITS = "amx_bf16"  # as Linux names what the CPU has


@cache
def openvino_obstacle() -> str:
    """Return why this process does not use OpenVINO, as half a sentence; empty when it does.

    Decided by what is installed and by what the CPU has, never by a measurement: workers on equal
    machines must make the same bytes of the parts of one video, however busy each of them is.
    """
    if find_spec("openvino") is None:
        return "it is not installed (the extra openvino brings it)"
    if MATRIX_UNITS not in _cpu_flags():
        return "this CPU has no matrix units for bfloat16 (AMX), without which it is no faster"
    return ""


def _cpu_flags() -> frozenset[str]:
    """Return what Linux says that the CPU has; nothing on other systems."""
    if not CPU_INFO.is_file():
        return frozenset()

    lines = (line.partition(":") for line in CPU_INFO.read_text().splitlines())
    return frozenset(
        flag for name, _, flags in lines if name.strip() == "flags" for flag in flags.split()
    )


@dataclass(frozen=True)
class CompiledGraph:
    """A graph compiled once; the tensors it leaves open are inputs, `weight_names`."""

    request: Any
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class OpenVinoNetwork:
    """One graph ready to run on float32 arrays, with an identity's `weights` if it takes any."""

    graph: CompiledGraph
    weights: Sequence[Any] = ()
    provider: str = OPENVINO

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the graph on its inputs, in order, and return its outputs by name."""
        request = self.graph.request
        # Identities share the request: its memory is 20 MB, their weights are set in microseconds.
        for name, tensor in zip(self.graph.weight_names, self.weights, strict=True):
            request.set_tensor(name, tensor)

        for name, value in zip(self.graph.input_names, inputs, strict=True):
            request.set_tensor(name, _shared(value))

        request.infer()
        # The request's own memory is written again by the next run.
        return {name: request.get_tensor(name).data.copy() for name in self.graph.output_names}

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.graph.input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.graph.output_names

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.graph.shapes[name] for name in self.graph.input_names)


def open_network(
    graph: Path | bytes, threads: int, weights: Mapping[str, Tensor]
) -> OpenVinoNetwork:
    """Return a graph with an identity's `weights`, empty for one that carries its own.

    Raises `BadIdentityError` when they are not the tensors that the graph leaves open.
    """
    compiled = _compiled(graph, threads)
    given = {name: tensor.shape for name, tensor in weights.items()}
    if given != {name: compiled.shapes[name] for name in compiled.weight_names}:
        raise BadIdentityError("the identity's weights do not fit this pack")

    return OpenVinoNetwork(compiled, [_shared(weights[name]) for name in compiled.weight_names])


def graphs_compiled() -> int:
    """Return how many graphs this process has compiled: as many as it opened, however often."""
    return _compiled.cache_info().currsize


@cache
def _compiled(graph: Path | bytes, threads: int) -> CompiledGraph:
    """Compile a graph for this process; identities then need no compilation of their own."""
    # Both take a moment to import: only those pay it who use them.
    onnx = import_module("onnx")
    openvino = _openvino()
    content = graph if isinstance(graph, bytes) else graph.read_bytes()
    model = onnx.load_model_from_string(content)
    external = onnx.TensorProto.EXTERNAL
    stored = list(model.graph.initializer)
    opened = [tensor for tensor in stored if tensor.data_location == external]
    names = tuple(port.name for port in model.graph.input)

    del model.graph.initializer[:]
    model.graph.initializer.extend(one for one in stored if one.data_location != external)
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in opened
    )

    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # the confinement forbids to choose cores
    }
    core = openvino.Core()
    read = core.read_model(model.SerializeToString())
    ready = core.compile_model(read, "CPU", options)

    return CompiledGraph(
        request=ready.create_infer_request(),
        input_names=names,
        output_names=tuple(port.name for port in model.graph.output),
        weight_names=tuple(one.name for one in opened),
        shapes={port.any_name: tuple(port.shape) for port in ready.inputs},
    )


def _openvino() -> Any:  # noqa: ANN401  it has no types
    """Import the package with its telemetry out of reach: it then takes a stub that sends nothing.

    Importing a name that is None in `sys.modules` fails, so no environment, no file in a home
    directory and no answer to a question can switch it on.
    """
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    return import_module("openvino")


def _shared(tensor: Tensor) -> Any:  # noqa: ANN401
    return _openvino().Tensor(np.ascontiguousarray(tensor), shared_memory=True)
