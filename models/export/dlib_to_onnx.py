"""Writes dlib's face recognition ResNet as an ONNX graph: chips in, embeddings out."""

from __future__ import annotations

import numpy as np
import onnx

from models.export.dlib_format import LEVELS, Weights, read_resnet
from models.export.graph_builder import GraphBuilder

MEAN_RGB = (122.782, 117.001, 104.298)  # of 255; dlib divides by 256 afterwards


def convert(data: bytes) -> onnx.ModelProto:
    """Return the network of a dlib .dat file: "image" RGB float32 [n, 3, 150, 150] in 0..1 ->
    "embedding" [n, 128].

    Initializers keep the names of `read_resnet`, so that torch can load them back. Raises
    DlibFormatError.
    """
    graph = GraphBuilder()
    weights = read_resnet(data)

    for name, value in weights.items():
        graph.constant(name, value)

    # dlib divides by 256, not by 255.
    graph.constant("input_scale", np.float32(255 / 256))
    graph.constant("input_mean", (np.array(MEAN_RGB, np.float32) / 256).reshape(3, 1, 1))
    scaled = graph.node("Mul", ["image", "input_scale"], "scaled")
    x = graph.node("Sub", [scaled, "input_mean"], "centred")
    x = _relu(graph, _convolution(graph, x, "stem", strides=[2, 2]))
    x = graph.node("MaxPool", [x], "stem.pooled", kernel_shape=[3, 3], strides=[2, 2])
    x = _levels(graph, x, weights)
    pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "pooled")], "flat")
    graph.node("Gemm", [pooled, "embed.weight"], "embedding", transB=1)

    return graph.build("dlib_resnet", {"image": ("n", 3, 150, 150)}, {"embedding": ("n", 128)})


def _levels(graph: GraphBuilder, x: str, weights: Weights) -> str:
    # Pooling takes sides of 35, 17, 8, 4 to 17, 8, 4, 2; the strided convolution leaves 17, 8, 3,
    # 1.
    for name, blocks, channels in LEVELS:
        for index in range(blocks):
            block = f"{name}.{index}"
            halve = index == 0 and name != "level4"
            missing = channels - weights[f"{block}.conv1.weight"].shape[1]
            short = int(halve and name in ("level1", "level0"))
            x = _block(graph, x, block, halve=halve, missing_channels=missing, missing_pixels=short)

    return x


def _block(
    graph: GraphBuilder,
    x: str,
    name: str,
    *,
    halve: bool,
    missing_channels: int,
    missing_pixels: int,
) -> str:
    window = {"strides": [2, 2]} if halve else {"pads": [1, 1, 1, 1]}
    y = _relu(graph, _convolution(graph, x, f"{name}.conv1", **window))
    y = _convolution(graph, y, f"{name}.conv2", pads=[1, 1, 1, 1])

    if halve:
        x = graph.node("AveragePool", [x], f"{name}.shortcut", kernel_shape=[2, 2], strides=[2, 2])

    # dlib adds what two layers have in common and takes missing channels and pixels for zeros.
    x = _grown(graph, x, [0, missing_channels, 0, 0])
    y = _grown(graph, y, [0, 0, missing_pixels, missing_pixels])
    return _relu(graph, graph.node("Add", [x, y], f"{name}.sum"))


def _grown(graph: GraphBuilder, x: str, ends: list[int]) -> str:
    """Append zeros at the end of axes, as dlib's add_prev does to the smaller operand."""
    if not any(ends):
        return x
    pads = graph.constant(f"{x}.pads", np.array([0, 0, 0, 0, *ends], np.int64))
    return graph.node("Pad", [x, pads], f"{x}.grown")


def _convolution(graph: GraphBuilder, x: str, name: str, **window: list[int]) -> str:
    return graph.node("Conv", [x, f"{name}.weight", f"{name}.bias"], f"{name}.out", **window)


def _relu(graph: GraphBuilder, x: str) -> str:
    return graph.node("Relu", [x], f"{x}.relu")
