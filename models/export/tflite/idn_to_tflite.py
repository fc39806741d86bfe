"""Writes the open pack's IDN, specialised to one identity, as a TensorFlow Lite graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.device.kernels import QuantisedKernel, quantise
from models.export.tflite.tflite_writer import TfliteGraph
from models.networks.body_layers import body_layers

COLOURS = 3
CHILDREN = 4  # pixels that a pixel of half the resolution turns into


@dataclass(frozen=True)
class Kernels:
    """One identity's specialised tensors by name, as `networks.idn.specialised_shapes` names
    them.
    """

    depthwise: Mapping[str, NDArray[np.float16]]
    pointwise: Mapping[str, QuantisedKernel]


def export_idn_tflite(
    kernels: Kernels,
    head_weight: NDArray[np.float32],
    head_bias: NDArray[np.float32],
    size: int = 224,
) -> bytes:
    """Return the graph: "target" and "texture", RGB float32 [1, size, size, 3] in -1..1 -> "face",
    the same.

    Args:
        kernels: of the identity.
        head_weight, head_bias: [16, 32, 3, 3] and [16] of the blend head (docs/method.md 4).
    """
    graph = TfliteGraph()
    target = graph.image("target", size, COLOURS)
    texture = graph.image("texture", size, COLOURS)
    features = _body(graph, target, texture, kernels)

    order = _children_apart()
    maps = graph.convolution(features, "final", quantise(head_weight[order]), head_bias[order])
    full = graph.depth_to_space(maps, "maps")
    share = graph.sigmoid(graph.channels(full, 0, 1, "share.map"), "share")
    residual = graph.tanh(graph.channels(full, 1, 1 + COLOURS, "residual.map"), "residual")

    difference = graph.subtract(texture, target, "difference")
    mixed = graph.add(target, graph.multiply(difference, share, "shown"), "mixed")
    # The residual is in units of 0..1, the images are in -1..1.
    doubled = graph.multiply(residual, graph.number(2.0), "residual.doubled")
    face = graph.add_clipped(mixed, doubled, "face")

    return graph.build("Likeness IDN", inputs=[target, texture], outputs=[face])


def _body(graph: TfliteGraph, target: int, texture: int, kernels: Kernels) -> int:
    x = graph.concatenate(target, texture, "images")
    skips: list[int] = []

    for layer in body_layers(2 * COLOURS):
        depthwise = f"{layer.name}.depthwise"
        pointwise = f"{layer.name}.pointwise"

        if layer.light:
            x = graph.convolution(x, pointwise, kernels.pointwise[pointwise])
            x = graph.enlarge(x, f"{layer.name}.enlarged")
            x = graph.depthwise(x, depthwise, kernels.depthwise[depthwise], layer.stride)
        else:
            x = graph.depthwise(x, depthwise, kernels.depthwise[depthwise], layer.stride)
            x = graph.convolution(x, pointwise, kernels.pointwise[pointwise])

        x = graph.leaky_relu(x, f"{layer.name}.out")
        if not layer.light:
            skips.append(x)
        elif layer.name != "decoder.3":  # the last level has no skip (docs/method.md 4)
            level = int(layer.name[-1])
            x = graph.concatenate(x, skips[3 - level], f"{layer.name}.joined")

    return x


def _children_apart() -> list[int]:
    """Return the head's channels in the order of this format: torch's pixel shuffle keeps the four
    children of a map together, depth-to-space the maps of a child.
    """
    maps = 1 + COLOURS  # the blend's share, and the residual
    return [one * CHILDREN + child for child in range(CHILDREN) for one in range(maps)]
