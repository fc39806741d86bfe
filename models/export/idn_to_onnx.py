"""Writes the IDN as one shared ONNX graph.

Each identity's 18 tensors are handed in when its session is opened.
"""

from __future__ import annotations

import numpy as np
import onnx
from torch import nn

from models.export.network_graph import NetworkGraph
from models.networks.body_layers import BodyLayer, shapes_of
from models.networks.idn import IDN, BlendHead

BLOCK = 8  # channels that ONNX Runtime's CPU kernels take at a time


def export_idn(network: IDN, size: int = 224) -> onnx.ModelProto:
    """Return the graph: "target" (and "texture" where the network takes one) -> "face", and "mask"
    where the network has one.

    Images are RGB float32 [1, 3, size, size] in 0..1, the mask [1, 1, size, size] in 0..1. The 18
    specialised tensors are external initializers named and shaped as `specialised_shapes` says.
    """
    graph = NetworkGraph()
    images = ["target"]
    channels = network.layers[0].channels_in

    # No input and no value in the file: each identity's session is opened with its own.
    for name, shape in shapes_of(network.layers).items():
        graph.external_constant(name, shape)

    if channels == 6:
        images.append("texture")

    features, deepest = _body(graph, images, network.layers)
    if isinstance(network.final, BlendHead):
        _blend_head(graph, features, network.final, size)
    else:
        _paper_head(graph, features, _sequence(network.final))

    shape = (1, 3, size, size)
    outputs = {"face": shape}

    if network.mask is not None:
        _mask_head(graph, deepest, network.mask)
        outputs["mask"] = (1, 1, size, size)

    return graph.build("idn", dict.fromkeys(images, shape), outputs)


def _body(graph: NetworkGraph, images: list[str], layers: tuple[BodyLayer, ...]) -> tuple[str, str]:
    x = _first_layer(graph, images, layers[0])
    skips = [x]
    deepest = ""  # the last encoder output, enlarged: the paper's decoder and mask head begin there

    for layer in layers[1:5]:
        x = _encoded(graph, x, layer)
        skips.append(x)

    for layer, skip in zip(layers[5:], (skips[3], skips[2], skips[1], None), strict=True):
        if layer.light:
            x = _light(graph, x, layer)
        else:
            enlarged = _upsample(graph, x)
            deepest = deepest or enlarged
            x = _encoded(graph, enlarged, layer)

        x = x if skip is None else graph.node("Concat", [x, skip], f"{layer.name}.joined", axis=1)

    return x, deepest


def _first_layer(graph: NetworkGraph, images: list[str], layer: BodyLayer) -> str:
    """Return the first layer on images in 0..1, without normalising them: kernel * (2 x - 1) = 2
    kernel * x - sum(kernel).

    Zero padding after normalising is padding with a half before it. Empty channels fill up the
    eight that ONNX Runtime's blocked kernels work on; with three or six it falls back to slower
    ones.
    """
    # The CPU's kernels take channels in blocks; three or six are filled up once, not at each frame.
    empty = BLOCK - layer.channels_in
    joined = graph.node("Concat", images, "first.images", axis=1) if len(images) > 1 else images[0]
    border = graph.constant("first.border", np.array([0, 0, 1, 1, 0, empty, 1, 1], np.int64))
    framed = graph.node(
        "Pad", [joined, border, graph.constant("first.grey", np.float32(0.5))], "first.framed"
    )
    # What follows depends on the identity's weights alone, so it is folded once, when its session
    # is opened.
    kernel = _filled(graph, f"{layer.name}.depthwise", 0, (empty, 1, layer.kernel, layer.kernel))
    doubled = graph.node("Mul", [kernel, graph.constant("two", np.float32(2))], "first.kernel")
    axes = graph.constant("first.axes", np.array([1, 2, 3], np.int64))
    shift = graph.node(
        "Neg", [graph.node("ReduceSum", [kernel, axes], "first.sum", keepdims=0)], "first.shift"
    )
    pointwise = _filled(graph, f"{layer.name}.pointwise", 1, (layer.channels_out, empty, 1, 1))
    strides = [layer.stride] * 2
    x = graph.node(
        "Conv", [framed, doubled, shift], "first.depthwise", strides=strides, group=BLOCK
    )

    return graph.leaky_relu(graph.node("Conv", [x, pointwise], "first.pointwise"))


def _filled(graph: NetworkGraph, weight: str, axis: int, empty: tuple[int, ...]) -> str:
    zeros = graph.constant(f"{weight}.filler", np.zeros(empty, np.float32))
    return graph.node("Concat", [weight, zeros], f"{weight}.filled", axis=axis)


def _encoded(graph: NetworkGraph, x: str, layer: BodyLayer) -> str:
    return graph.leaky_relu(_pointwise(graph, _depthwise(graph, x, layer), layer))


def _light(graph: NetworkGraph, x: str, layer: BodyLayer) -> str:
    enlarged = _upsample(graph, _pointwise(graph, x, layer))
    return graph.leaky_relu(_depthwise(graph, enlarged, layer))


def _depthwise(graph: NetworkGraph, x: str, layer: BodyLayer) -> str:
    weight = f"{layer.name}.depthwise"
    strides = [layer.stride] * 2
    group = layer.depthwise_channels
    return graph.node(
        "Conv", [x, weight], f"{weight}.out", strides=strides, pads=[1] * 4, group=group
    )


def _pointwise(graph: NetworkGraph, x: str, layer: BodyLayer) -> str:
    weight = f"{layer.name}.pointwise"
    return graph.node("Conv", [x, weight], f"{weight}.out")


def _blend_head(graph: NetworkGraph, features: str, head: BlendHead, size: int) -> None:
    maps = _pixel_shuffle(graph, graph.convolution(features, "final", head.conv), size // 2)
    weight = graph.node("Sigmoid", [graph.slice(maps, 0, 1)], "blend.weight")
    residual = graph.node("Tanh", [graph.slice(maps, 1, 4)], "blend.residual")
    difference = graph.node("Sub", ["texture", "target"], "blend.difference")
    # The face is the target plus a share of what the texture has in place of it, plus a residual.
    shown = graph.node("Mul", [weight, difference], "blend.shown")
    blended = graph.node(
        "Add", [graph.node("Add", ["target", shown], "blend.texture"), residual], "blend.face"
    )
    graph.node(
        "Clip",
        [blended, graph.constant("black", np.float32(0)), graph.constant("white", np.float32(1))],
        "face",
    )


def _pixel_shuffle(graph: NetworkGraph, x: str, half: int) -> str:
    """[1, 16, half, half] -> [1, 4, size, size]: two simple transposes cost less than ONNX
    Runtime's DepthToSpace.
    """
    x = graph.reshape(x, "maps.columns", [1, 4, 2, 2, half * half])
    x = graph.node("Transpose", [x], "maps.interleaved", perm=[0, 1, 2, 4, 3])
    x = graph.reshape(x, "maps.rows", [1, 4, 2, half, 2 * half])
    x = graph.node("Transpose", [x], "maps.ordered", perm=[0, 1, 3, 2, 4])

    return graph.reshape(x, "maps", [1, 4, 2 * half, 2 * half])


def _paper_head(graph: NetworkGraph, features: str, final: nn.Sequential) -> None:
    # A 1x1 convolution and a norm commute with interpolation, whose weights sum to one: 8 channels
    # grow instead of 32.
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
