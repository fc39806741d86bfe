"""ONNX Runtime sessions: device, number of threads, and weights that are handed in from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.inference.arrays import Tensor
from models.inference.errors import BadIdentityError, DeviceUnavailableError
from models.inference.runtime import (
    CPU,
    CUDA,
    ORT_ERRORS,
    Device,
    choose_provider,
    ort,
    share_cuda_arena,
)


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
        except ORT_ERRORS as error:
            raise BadIdentityError("the identity's weights do not fit this pack") from error

    def _session_options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        # Networks here are chains: there is nothing to run side by side.
        options.inter_op_num_threads = 1
        # Spinning workers burn the core that the decoder and encoder need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        if choose_provider(self.device) == CUDA and share_cuda_arena():
            options.add_session_config_entry("session.use_env_allocators", "1")

        return options

    def _open(self, graph: Path, options: ort.SessionOptions) -> Network:
        provider = choose_provider(self.device)
        session = ort.InferenceSession(
            str(graph),
            options,
            providers=[provider] if provider == CPU else [provider, CPU],
            enable_fallback=0,  # after an error the CPU would take over, told by a print alone
        )

        network = Network(
            session=session,
            input_names=tuple(port.name for port in session.get_inputs()),
            output_names=tuple(port.name for port in session.get_outputs()),
        )

        # A provider that does not load is left out with a message on standard error: what runs is
        # what counts.
        if network.provider != provider:
            raise DeviceUnavailableError(
                f"{provider} was chosen, but ONNX Runtime opened {graph.name} on"
                f" {network.provider}; its own message is on standard error. Set LIKENESS_DEVICE to"
                " cpu to do without a GPU."
            )

        return network
