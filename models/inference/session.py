"""Networks ready to run: device, number of threads, and weights that are handed in from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models.inference.arrays import Tensor
from models.inference.errors import BadIdentityError, DeviceUnavailableError
from models.inference.openvino_runtime import OPENVINO, open_network
from models.inference.runtime import (
    CPU,
    CUDA,
    ORT_ERRORS,
    Device,
    choose_provider,
    ort,
    share_cuda_arena,
)

# Measured on an H100: trying every algorithm of cuDNN takes an identity's first pass from .21 to
# .45 s and its memory from 60 to 183 MB, for the same speed afterwards. In TensorFloat-32 landmarks
# are .04 px off; networks this small gain nothing by it.
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


class Network(Protocol):
    """One graph ready to run on float32 arrays, whatever runs it."""

    @property
    def input_names(self) -> tuple[str, ...]: ...

    @property
    def output_names(self) -> tuple[str, ...]: ...

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input; a side that may vary, as a batch, is 1."""
        ...

    @property
    def provider(self) -> str:
        """What runs the graph."""
        ...

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the graph on its inputs, in order, and return its outputs by name."""
        ...


@dataclass(frozen=True)
class OrtNetwork:
    """A graph that ONNX Runtime runs; the provider is named as there."""

    session: ort.InferenceSession
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        outputs: list[Tensor] = self.session.run(
            None, dict(zip(self.input_names, inputs, strict=True))
        )
        return dict(zip(self.output_names, outputs, strict=True))

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(side if isinstance(side, int) else 1 for side in port.shape)
            for port in self.session.get_inputs()
        )

    @property
    def provider(self) -> str:
        return str(self.session.get_providers()[0])


@dataclass(frozen=True)
class SessionFactory:
    """Opens graphs on one device with `threads` threads each."""

    device: Device = "auto"
    threads: int = 1

    def open(self, graph: Path) -> Network:
        """Open a graph that carries its own weights."""
        return self._open(graph, self._session_options())

    def open_painting(self, graph: Path) -> Network:
        """Open a graph that says how an image is to look, which bears bfloat16: its levels are
        rounded to bytes anyhow. Landmarks and scores do not.
        """
        if self.provider == OPENVINO:
            return open_network(graph, self.threads, {})
        return self.open(graph)

    @property
    def provider(self) -> str:
        """What runs the networks that make images, the most of the work."""
        return choose_provider(self.device)

    def open_specialised(self, graph: Path | bytes, weights: Mapping[str, Tensor]) -> Network:
        """Open a shared graph, a file or what is in one, with `weights` as its external
        initializers: as fast as weights baked into the file.

        Raises `BadIdentityError` when they are not the tensors that the graph leaves open.
        """
        if self.provider == OPENVINO:
            return open_network(graph, self.threads, weights)

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

        if self.provider == CUDA and share_cuda_arena():
            options.add_session_config_entry("session.use_env_allocators", "1")

        return options

    def _open(self, graph: Path | bytes, options: ort.SessionOptions) -> Network:
        # What OpenVINO does not take, ONNX Runtime's own provider runs.
        provider = CPU if self.provider == OPENVINO else self.provider
        session = ort.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph),
            options,
            providers=[CPU] if provider == CPU else [(provider, CUDA_OPTIONS), CPU],
            enable_fallback=0,  # after an error the CPU would take over, told by a print alone
        )

        network = OrtNetwork(
            session=session,
            input_names=tuple(port.name for port in session.get_inputs()),
            output_names=tuple(port.name for port in session.get_outputs()),
        )

        # A provider that does not load is left out with a message on standard error: what runs is
        # what counts.
        if network.provider != provider:
            raise DeviceUnavailableError(
                f"{provider} was chosen, but ONNX Runtime opened {_name(graph)} on"
                f" {network.provider}; its own message is on standard error. Set LIKENESS_DEVICE to"
                " cpu to do without a GPU."
            )

        return network


def _name(graph: Path | bytes) -> str:
    return "the identity's graph" if isinstance(graph, bytes) else graph.name
