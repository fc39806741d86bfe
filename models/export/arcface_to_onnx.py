"""Writes the official pack's identity encoder as an ONNX graph."""

from __future__ import annotations

import numpy as np
import onnx
from torch import nn

from models.export.network_graph import NetworkGraph, array, norm_scale
from models.networks.arcface import EMBEDDING, LEVELS, MEAN, SIZE, STD, ArcFace, Block


def export_arcface(network: ArcFace) -> onnx.ModelProto:
    """Return the graph: "image" RGB float32 [1, 3, 112, 112] in 0..1 -> "feature_map" and
    "embedding".
    """
    graph = NetworkGraph()
    # The network was trained on images normalised as ImageNet's are; the graph takes 0..1.
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (MEAN, STD))
    centred = graph.node("Sub", ["image", graph.constant("mean", mean)], "image.centred")
    x = graph.node("Div", [centred, graph.constant("std", std)], "image.normal")
    x = _prelu(
        graph, graph.convolution(x, "stem", network.conv1, network.bn1), "stem", network.prelu
    )
    x = graph.node("MaxPool", [x], "stem.pooled", kernel_shape=[2, 2], strides=[2, 2])

    for level in range(1, len(LEVELS) + 1):
        for index, block in enumerate(network.get_submodule(f"layer{level}").children()):
            x = _block(graph, x, f"layer{level}.{index}", block)

    # Before the linear layer that makes the embedding of it: the paper's IIM reads both.
    _scaled(graph, x, "bn2", network.bn2, "feature_map")
    flat = graph.node("Flatten", ["feature_map"], "flat")
    gain, shift = norm_scale(network.bn3)  # folds into the linear before it
    weight = graph.constant("fc.weight", array(network.fc.weight) * gain[:, None])
    bias = graph.constant("fc.bias", array(network.fc.bias) * gain + shift)
    raw = graph.node("Gemm", [flat, weight, bias], "raw", transB=1)
    # Unit length: identities are compared by cosine, and the IIM was trained on such codes.
    length = graph.node("ReduceL2", [raw], "length", axes=[1], keepdims=1)
    graph.node("Div", [raw, length], "embedding")
    outputs = {"feature_map": (1, 512, 7, 7), "embedding": (1, EMBEDDING)}

    return graph.build("arcface", {"image": (1, 3, SIZE, SIZE)}, outputs)


def _block(graph: NetworkGraph, x: str, name: str, block: nn.Module) -> str:
    assert isinstance(block, Block)  # noqa: S101  narrows the type
    # bn0 stands before a zero-padded convolution, so it cannot fold into it.
    y = _scaled(graph, x, f"{name}.bn0", block.bn0, f"{name}.normal")
    y = _prelu(
        graph,
        graph.convolution(y, f"{name}.conv1", block.conv1, block.bn1),
        f"{name}.first",
        block.prelu,
    )

    y = _squeeze_excite(
        graph, graph.convolution(y, f"{name}.conv2", block.conv2, block.bn2), name, block
    )
    if block.downsample is not None:
        x = graph.convolution(x, f"{name}.downsample", block.downsample[0], block.downsample[1])

    return _prelu(graph, graph.node("Add", [y, x], f"{name}.sum"), f"{name}.second", block.prelu)


def _squeeze_excite(graph: NetworkGraph, x: str, name: str, block: Block) -> str:
    squeeze = block.se.fc[0]
    activation = block.se.fc[1]
    excite = block.se.fc[2]
    # Squeeze and excitation: the mean of each channel decides how strongly the channel counts.
    mean = graph.node(
        "Flatten", [graph.node("GlobalAveragePool", [x], f"{name}.mean")], f"{name}.squeezed"
    )
    hidden = _prelu(graph, graph.linear(mean, f"{name}.se.0", squeeze), f"{name}.se", activation)
    scale = graph.node("Sigmoid", [graph.linear(hidden, f"{name}.se.2", excite)], f"{name}.scale")

    return graph.node(
        "Mul", [x, graph.reshape(scale, f"{name}.scale.map", [1, -1, 1, 1])], f"{name}.excited"
    )


def _scaled(graph: NetworkGraph, x: str, name: str, norm: nn.Module, output: str) -> str:
    # Gain and shift stay apart here, since nothing linear stands before this norm to take them in.
    gain, shift = (
        graph.constant(f"{name}.{i}", part.reshape(-1, 1, 1))
        for i, part in enumerate(norm_scale(norm))
    )
    return graph.node("Add", [graph.node("Mul", [x, gain], f"{output}.scaled"), shift], output)


def _prelu(graph: NetworkGraph, x: str, name: str, activation: nn.Module) -> str:
    assert isinstance(activation, nn.PReLU)  # noqa: S101  narrows the type
    return graph.node(
        "PRelu", [x, graph.constant(f"{name}.slope", array(activation.weight))], f"{name}.act"
    )
