"""ONNX Runtime sessions: which device, how many threads, and weights that are handed in from
outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    RuntimeException,
)

from models.inference.arrays import Tensor
from models.inference.errors import BadIdentityError, DeviceUnavailableError

Device = Literal["auto", "cpu", "cuda"]
_ORT_ERRORS = (Fail, InvalidArgument, InvalidGraph, RuntimeException)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@dataclass(frozen=True)
class Network:
    """One graph ready to run on float32 arrays."""

    session: ort.InferenceSession
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the graph on its inputs, in order, and return its outputs by name."""
        outputs: list[Tensor] = self.session.run(
            None, dict(zip(self.input_names, inputs, strict=True))
        )
        return dict(zip(self.output_names, outputs, strict=True))

    @property
    def provider(self) -> str:
        """The execution provider that runs the graph, as ONNX Runtime names it."""
        return str(self.session.get_providers()[0])


@dataclass(frozen=True)
class SessionFactory:
    """Opens graphs on one device with `threads` threads each."""

    device: Device = "auto"
    threads: int = 1

    def open(self, graph: Path) -> Network:
        """Open a graph that carries its own weights."""
        return self._open(graph, self._session_options())

    def open_specialised(self, graph: Path, weights: Mapping[str, Tensor]) -> Network:
        """Open a shared graph with `weights` as its external initializers: as fast as weights baked
        into the file.

        Raises `BadIdentityError` when they are not the tensors that the graph leaves open.
        """
        options = self._session_options()
        # Without this each identity holds 28 MB of arena instead of under 2 MB, for the same speed.
        options.enable_cpu_mem_arena = False
        values = [
            ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor))
            for tensor in weights.values()
        ]
        try:
            options.add_external_initializers(list(weights), values)
            return self._open(graph, options)
        except _ORT_ERRORS as error:
            raise BadIdentityError("the identity's weights do not fit this pack") from error

    def _session_options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Spinning workers burn the core that the decoder and encoder need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _open(self, graph: Path, options: ort.SessionOptions) -> Network:
        with_cuda = self.device != "cpu" and CUDA in ort.get_available_providers()
        session = ort.InferenceSession(
            str(graph), options, providers=[CUDA, CPU] if with_cuda else [CPU]
        )
        names = (
            tuple(v.name for v in session.get_inputs()),
            tuple(v.name for v in session.get_outputs()),
        )
        network = Network(session, *names)
        # A GPU wheel without a usable driver falls back to the CPU silently: what runs is what
        # counts.
        if self.device == "cuda" and network.provider != CUDA:
            raise DeviceUnavailableError(
                "CUDA was asked for, but ONNX Runtime cannot use it on this machine"
            )
        return network
