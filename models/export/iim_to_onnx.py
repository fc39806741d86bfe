"""Writes the identity injection modules as ONNX graphs: one identity in, its 18 specialised tensors
out, by name.
"""

from __future__ import annotations

import numpy as np
import onnx
from torch import nn

from models.export.network_graph import NetworkGraph, array
from models.networks.body_layers import BodyLayer, shapes_of, specialised_shapes
from models.networks.idn import identity_scale
from models.networks.iim import Conditioner, EmittingBlock, Modulation, OpenIIM


def export_open_iim(network: OpenIIM) -> onnx.ModelProto:
    """Return the graph of the open pack's IIM: "embedding" float32 [1, D], centred, L2 norm 1 ->
    18 tensors.

    Weights are stored as float16, so that they can be committed.
    """
    # Halves: this graph has most of the pack's numbers, and runs once for an identity.
    graph = NetworkGraph(half=True)
    # A unit code has components of about 1/sqrt(D); the trunk was trained on components of about 1.
    scaled = graph.node(
        "Mul",
        ["embedding", graph.constant("scale", np.float32(identity_scale(network.dimension)))],
        "scaled",
    )

    hidden = scaled
    for index in (0, 2):
        hidden = graph.leaky_relu(graph.linear(hidden, f"trunk.{index}", network.trunk[index]))

    styles = graph.linear(hidden, "style", network.style)
    residual = graph.linear(
        graph.linear(hidden, "down", network.down), "kernel_residual", network.kernel_residual
    )
    base = graph.weight("kernel_base", array(network.kernel_base))
    kernels = graph.node("Add", [residual, base], "kernels")
    # Both heads give one long row; each layer takes its part of it.
    style = kernel = 0

    for layer, pointwise in zip(network.layers, network.pointwise, strict=True):
        shape = [layer.depthwise_channels, 1, layer.kernel, layer.kernel]
        part = graph.slice(kernels, kernel, kernel + layer.depthwise_numbers)
        graph.reshape(part, f"{layer.name}.depthwise", shape)
        factors = graph.slice(styles, style, style + layer.channels_in)
        weight = graph.weight(f"{layer.name}.base", array(pointwise))
        _modulate(graph, layer, weight, factors, network.EPSILON)
        style = style + layer.channels_in
        kernel = kernel + layer.depthwise_numbers

    return graph.build(
        "iim",
        {"embedding": (1, network.dimension)},
        shapes_of(network.layers),
    )


def export_conditioner(network: Conditioner) -> onnx.ModelProto:
    """Return the graph of the released IIM: "feature_map" [1, 512, 7, 7] and "embedding" [1, 512]
    -> 18 tensors.
    """
    graph = NetworkGraph()
    predictor = network.predictor
    seed = graph.leaky_relu(
        graph.convolution("feature_map", "first", predictor.first, predictor.norm)
    )
    decoder_norm = predictor.decoder_norm
    decoder_seed = graph.leaky_relu(
        graph.convolution(seed, "first_decoder", predictor.first_decoder, decoder_norm)
    )
    # The encoder's kernels come out from its last layer to its first, as in the network.
    kernels = _emitted(graph, seed, "encoder", predictor.encoder)[::-1]
    kernels += _emitted(graph, decoder_seed, "decoder", predictor.decoder)
    modulations = [*network.EncoderModulation, *network.DecoderModulation]

    for layer, kernel, modulation in zip(network.layers, kernels, modulations, strict=True):
        assert isinstance(modulation, Modulation)  # noqa: S101  narrows the type
        shape = [layer.channels_in, 1, layer.kernel, layer.kernel]
        graph.reshape(kernel, f"{layer.name}.depthwise", shape)
        weight = graph.constant(f"{layer.name}.base", array(modulation.weight)[:, :, 0, 0])
        factors = graph.linear("embedding", f"{layer.name}.style", modulation.style)
        _modulate(graph, layer, weight, factors, modulation.EPSILON)

    # What the official encoder gives: the map before its last layer, and the code.
    inputs = {"feature_map": (1, 512, 7, 7), "embedding": (1, 512)}
    return graph.build("conditioner", inputs, specialised_shapes())


def _emitted(graph: NetworkGraph, x: str, name: str, chain: nn.ModuleList) -> list[str]:
    kernels = []
    for index, block in enumerate(chain):
        assert isinstance(block, EmittingBlock)  # noqa: S101  narrows the type
        x = graph.leaky_relu(graph.convolution(x, f"{name}.{index}.conv", block.conv, block.norm))
        kernels.append(graph.convolution(x, f"{name}.{index}.weight", block.weight))

    return kernels


def _modulate(
    graph: NetworkGraph, layer: BodyLayer, weight: str, factors: str, epsilon: float
) -> None:
    """Scales the inputs of `weight` [out, in] by 1 + factors [1, in] and its rows to length one."""
    prefix = f"{layer.name}.modulation"
    plus_one = graph.node(
        "Add", [factors, graph.constant("one", np.float32(1))], f"{prefix}.factors"
    )
    scaled = graph.node("Mul", [weight, plus_one], f"{prefix}.scaled")
    # Demodulation: rows of unit length, so that an identity cannot change how loud a layer is.
    squares = graph.node("ReduceSumSquare", [scaled], f"{prefix}.squares", axes=[1], keepdims=1)
    positive = graph.node(
        # Inside the root, as in the paper's code, or a row of zeros would divide by zero.
        "Add",
        [squares, graph.constant("epsilon", np.float32(epsilon))],
        f"{prefix}.positive",
    )
    rows = graph.node(
        "Div", [scaled, graph.node("Sqrt", [positive], f"{prefix}.length")], f"{prefix}.rows"
    )
    graph.reshape(rows, f"{layer.name}.pointwise", [layer.channels_out, layer.channels_in, 1, 1])
