"""Writes the IDN as one shared ONNX graph; each identity's 18 tensors are handed in when its session is opened."""

from __future__ import annotations

import numpy as np
import onnx
from torch import nn

from models.export.network_graph import NetworkGraph
from models.networks.idn import IDN, BlendHead, BodyLayer, specialised_shapes


def export_idn(network: IDN, size: int = 224) -> onnx.ModelProto:
    """Returns the graph: "target" (and "texture" where the network takes one) -> "face" and "mask".

    Images are RGB float32 [1, 3, size, size] in 0..1, the mask [1, 1, size, size] in 0..1.
    The 18 specialised tensors are external initializers named and shaped as `specialised_shapes` says.
    """
    graph, images = NetworkGraph(), ["target"]
    channels = network.layers[0].channels_in
    for name, shape in specialised_shapes(channels).items():
        graph.external_constant(name, shape)
    if channels == 6:
        images.append("texture")
    features, deepest = _body(graph, images, network.layers)
    if isinstance(network.final, BlendHead):
        _blend_head(graph, features, network.final)
    else:
        _paper_head(graph, features, _sequence(network.final))
    _mask_head(graph, deepest, network.mask)
    shape = (1, 3, size, size)
    return graph.build("idn", dict.fromkeys(images, shape), {"face": shape, "mask": (1, 1, size, size)})


def _body(graph: NetworkGraph, images: list[str], layers: tuple[BodyLayer, ...]) -> tuple[str, str]:
    pair = graph.node("Concat", images, "images", axis=1) if len(images) > 1 else images[0]
    doubled = graph.node("Mul", [pair, graph.constant("two", np.float32(2))], "images.doubled")
    x, skips = graph.node("Sub", [doubled, graph.constant("one", np.float32(1))], "images.centred"), []
    deepest = ""  # the last encoder output, enlarged: decoder and mask head both begin there
    for layer in layers[:5]:
        x = _specialised(graph, x, layer)
        skips.append(x)
    for layer, skip in zip(layers[5:], (skips[3], skips[2], skips[1], None), strict=True):
        enlarged = _upsample(graph, x)
        deepest = deepest or enlarged
        x = _specialised(graph, enlarged, layer)
        x = x if skip is None else graph.node("Concat", [x, skip], f"{layer.name}.joined", axis=1)
    return x, deepest


def _specialised(graph: NetworkGraph, x: str, layer: BodyLayer) -> str:
    depthwise, pointwise = f"{layer.name}.depthwise", f"{layer.name}.pointwise"
    strides, pads = [layer.stride] * 2, [1] * 4
    x = graph.node("Conv", [x, depthwise], f"{depthwise}.out", strides=strides, pads=pads, group=layer.channels_in)
    return graph.leaky_relu(graph.node("Conv", [x, pointwise], f"{pointwise}.out"))


def _blend_head(graph: NetworkGraph, features: str, head: BlendHead) -> None:
    maps = graph.node(
        "DepthToSpace", [graph.convolution(features, "final", head.conv)], "maps", blocksize=2, mode="CRD"
    )
    weight = graph.node("Sigmoid", [graph.slice(maps, 0, 1)], "blend.weight")
    residual = graph.node("Tanh", [graph.slice(maps, 1, 4)], "blend.residual")
    difference = graph.node("Sub", ["texture", "target"], "blend.difference")
    shown = graph.node("Mul", [weight, difference], "blend.shown")
    blended = graph.node("Add", [graph.node("Add", ["target", shown], "blend.texture"), residual], "blend.face")
    graph.node(
        "Clip", [blended, graph.constant("black", np.float32(0)), graph.constant("white", np.float32(1))], "face"
    )


def _paper_head(graph: NetworkGraph, features: str, final: nn.Sequential) -> None:
    # A 1x1 convolution and a norm commute with interpolation, whose weights sum to one: 8 channels grow instead of 32.
    x = graph.convolution(features, "final.1", final[1], final[2])
    x = graph.leaky_relu(_upsample(graph, x))
    x = graph.leaky_relu(graph.convolution(x, "final.4", final[4], final[5]))
    x = graph.node("Tanh", [graph.convolution(x, "final.7", final[7])], "final.tanh")
    half = graph.constant("half", np.float32(0.5))
    graph.node("Add", [graph.node("Mul", [x, half], "final.halved"), half], "face")


def _mask_head(graph: NetworkGraph, deepest: str, mask: nn.Sequential) -> None:
    x = deepest
    for level in range(5):
        block = _sequence(mask[level])
        x = graph.convolution(x if level == 0 else _upsample(graph, x), f"mask.{level}.1", block[1])
        x = graph.leaky_relu(graph.convolution(x, f"mask.{level}.2", block[2], block[3]))
    graph.node("Sigmoid", [graph.convolution(x, "mask.5", mask[5])], "mask")


def _upsample(graph: NetworkGraph, x: str) -> str:
    """Constant scales, not sizes, let ONNX Runtime stay in its blocked layout."""
    scales = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return graph.node("Resize", [x, "", scales], f"{x}.up", **mode)


def _sequence(module: nn.Module) -> nn.Sequential:
    assert isinstance(module, nn.Sequential)  # noqa: S101  narrows the type
    return module
