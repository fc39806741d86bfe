"""ONNX Runtime sessions: which device, how many threads, and weights that are handed in from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from models.inference.arrays import Tensor
from models.inference.errors import DeviceUnavailableError

Device = Literal["auto", "cpu", "cuda"]
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@dataclass(frozen=True)
class Network:
    """One graph ready to run: float32 arrays in, float32 arrays out, in the graph's order."""

    session: ort.InferenceSession
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = self.session.run(None, dict(zip(self.input_names, inputs, strict=True)))
        return outputs

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """Shape of the first input; free dimensions are names."""
        return tuple(self.session.get_inputs()[0].shape)


@dataclass(frozen=True)
class SessionFactory:
    """Opens graphs on one device with `threads` threads each."""

    device: Device = "auto"
    threads: int = 1

    def open(self, graph: Path) -> Network:
        """Open a graph that carries its own weights."""
        return self._open(graph, self._session_options())

    def open_specialised(self, graph: Path, weights: Mapping[str, Tensor]) -> Network:
        """Open a shared graph with `weights` as its external initializers: as fast as weights baked into the file."""
        options = self._session_options()
        # Without this each identity holds 28 MB of arena instead of under 2 MB, for the same speed.
        options.enable_cpu_mem_arena = False
        values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor)) for tensor in weights.values()]
        options.add_external_initializers(list(weights), values)
        return self._open(graph, options)

    def provider(self) -> str:
        """Name the provider that is preferred on this machine for this device."""
        cuda = CUDA in ort.get_available_providers()
        return CUDA if cuda and self.device != "cpu" else CPU

    def _session_options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Spinning workers burn the core that the decoder and encoder need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _open(self, graph: Path, options: ort.SessionOptions) -> Network:
        providers = [CUDA, CPU] if self.provider() == CUDA else [CPU]
        session = ort.InferenceSession(str(graph), options, providers=providers)
        # A GPU wheel without a usable driver falls back to the CPU silently: what runs is what counts.
        if self.device == "cuda" and session.get_providers()[0] != CUDA:
            raise DeviceUnavailableError("CUDA was asked for, but ONNX Runtime cannot use it on this machine")
        names = (tuple(v.name for v in session.get_inputs()), tuple(v.name for v in session.get_outputs()))
        return Network(session, *names)
