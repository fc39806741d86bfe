"""Writes the cover network as ONNX: crop and face guide in, how likely a pixel is covered out."""

from __future__ import annotations

import numpy as np
import onnx
from torch import nn

from models.export.network_graph import NetworkGraph
from models.networks.cover_net import INPUTS, KINDS, SIZE, CoverNet

GUIDE = INPUTS - 3  # planes beside RGB


def export_cover(network: CoverNet) -> onnx.ModelProto:
    """Return the graph: "image" RGB float32 [1, 3, 112, 112] in 0..1 and "guide" [1, 5, 112, 112]
    -> "cover" [1, 3, 112, 112] in 0..1, one plane of each of `KINDS`.
    """
    graph = NetworkGraph()
    # From 0..1 to -1..1, which the network was trained on.
    doubled = graph.node("Mul", ["image", graph.constant("two", np.float32(2))], "image.doubled")
    centred = graph.node("Sub", [doubled, graph.constant("one", np.float32(1))], "image.centred")
    x = graph.node("Concat", [centred, "guide"], "seen", axis=1)

    levels = []
    for index, block in enumerate(network.encoder):
        x = _block(graph, x, f"encoder.{index}", block)
        # The encoder's levels, kept for the decoder to join at the same size: a U-Net.
        levels.append(x)

    for index, block in enumerate(network.middle):
        x = _block(graph, x, f"middle.{index}", block)

    for index, block in enumerate(network.decoder):
        joined = [_doubled(graph, x), levels[-1 - index]]
        x = graph.node("Concat", joined, f"decoder.{index}.joined", axis=1)
        x = _block(graph, x, f"decoder.{index}", block)

    x = graph.convolution(x, "output", network.output)
    # CRD is the order of torch's pixel shuffle.
    x = graph.node("DepthToSpace", [x], "logits", blocksize=2, mode="CRD")
    graph.node("Sigmoid", [x], "cover")
    images = {"image": (1, 3, SIZE, SIZE), "guide": (1, GUIDE, SIZE, SIZE)}

    return graph.build("cover", images, {"cover": (1, len(KINDS), SIZE, SIZE)})


def _block(graph: NetworkGraph, x: str, name: str, block: nn.Module) -> str:
    assert isinstance(block, nn.Sequential)  # noqa: S101  narrows the type
    return graph.leaky_relu(graph.convolution(x, name, block[0], block[1]))


def _doubled(graph: NetworkGraph, x: str) -> str:
    # Doubling by half-pixel bilinear steps, as torch's `interpolate` without aligned corners.
    """Half-pixel interpolation, as torch's without aligned corners."""
    scales = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.node("Resize", [x, "", scales], f"{x}.up", **mode)
