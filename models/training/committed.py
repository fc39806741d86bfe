"""The weights that are committed, back as torch networks: where a run may begin, and what ablations
of the pack look at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models.networks.idn import IDN
from models.networks.iim import OpenIIM

COMMITTED = Path(__file__).parents[1] / "packs" / "open"


def load_shared_heads(graph: Path) -> IDN:
    """Return the texture-guided IDN with the image head of a pack's `idn.onnx`, fixed."""
    stored = _initializers(graph)
    network = IDN(6, "blend")
    # Exported graphs call the last convolution `final.conv`; the module has nothing beside it.
    in_graph = {name: name.replace("final.conv", "final") for name in network.state_dict()}
    network.load_state_dict(
        {name: torch.from_numpy(stored[place].copy()) for name, place in in_graph.items()}
    )

    return network.eval().requires_grad_(False)


def load_iim(graph: Path) -> OpenIIM:
    """Return the open pack's IIM with the weights of its `iim.onnx`, which are float16 there."""
    stored = _initializers(graph)
    network = OpenIIM(6)
    # Large tensors are stored as halves under another name, and cast when the graph runs.
    in_graph = {name: f"{name}.half" for name in network.state_dict()}

    for index, layer in enumerate(network.layers):
        in_graph[f"pointwise.{index}"] = f"{layer.name}.base.half"

    state = {name: stored[place].astype(np.float32) for name, place in in_graph.items()}
    network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return network


def _initializers(graph: Path) -> dict[str, NDArray[np.generic]]:
    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    # The specialised weights are external, and nobody's in particular: there is nothing to read.
    local = [t for t in tensors if t.data_location != onnx.TensorProto.EXTERNAL]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in local}
