"""Generators of the size of better-known face swappers: their layers' shapes, cited from what their
authors published, with random weights; nothing of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Place:
    """A feature map of a graph."""

    name: str
    channels: int
    side: int


class GraphOfShapes:
    """A chain of convolutions on one image, written down layer by layer, and its multiply-adds."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._last = "image"
        self._channels = 3
        self._side = size
        self.gmacs = 0.0

    def conv(
        self, channels: int, kernel: int = 3, stride: int = 1, normed: bool = True
    ) -> GraphOfShapes:
        """Return a convolution, then instance normalisation (as AdaIN costs) and ReLU."""
        name = f"n{len(self._nodes)}"
        # One block of noise, repeated: weights of a hundred megabytes would take longer to draw
        # than to run.
        block = np.random.default_rng(len(self._nodes)).normal(0, 0.02, 4099).astype(np.float32)
        weights = np.resize(block, (channels, self._channels, kernel, kernel))
        self._weights.append(numpy_helper.from_array(weights, f"{name}.w"))
        self._side //= stride
        self.gmacs += weights.size * self._side**2 / 1e9
        # The same size out as in, or half of it, as these generators have it.
        pads = [(kernel - 1) // 2] * 2 + [kernel // 2] * 2
        convolution = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        self._add("Conv", [self._last, f"{name}.w"], **convolution)
        self._channels = channels

        if normed:
            # Scale one and shift nought: the norm costs its time and changes little.
            for suffix, value in (("s", 1.0), ("b", 0.0)):
                self._weights.append(
                    numpy_helper.from_array(
                        np.full(channels, value, np.float32), f"{name}.{suffix}"
                    )
                )

            self._add("InstanceNormalization", [self._last, f"{name}.s", f"{name}.b"])
            self._add("Relu", [self._last])

        return self

    def residual(self) -> GraphOfShapes:
        """Two convolutions beside a short cut."""
        before = self._last
        self.conv(self._channels).conv(self._channels)
        self._add("Add", [before, self._last])
        return self

    def enlarge(self) -> GraphOfShapes:
        """Twice the size, bilinear."""
        name = f"scales{len(self._nodes)}"
        # Twice the height and the width.
        self._weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), name))
        self._add("Resize", [self._last, "", name], mode="linear")
        self._side *= 2
        return self

    def joined(self, place: Place) -> GraphOfShapes:
        """Put a feature map from earlier beside the last one."""
        self._add("Concat", [self._last, place.name], axis=1)
        self._channels += place.channels
        return self

    @property
    def place(self) -> Place:
        """The last feature map, for `joined` and `attended`."""
        return Place(self._last, self._channels, self._side)

    def at(self, place: Place) -> GraphOfShapes:
        """Go on from a feature map from earlier."""
        self._last = place.name
        self._channels = place.channels
        self._side = place.side
        return self

    def attended(self, attributes: Place) -> GraphOfShapes:
        """Return a layer that scales and shifts features by two 1x1 convolutions of attributes,
        behind a mask of one channel (adaptive attentional denormalisation).
        """
        features = self.place
        scale, shift = (
            self.at(attributes).conv(features.channels, 1, normed=False).place for _ in range(2)
        )
        mask = self.at(features).conv(1, 1, normed=False).place
        self._add("Mul", [features.name, scale.name])
        self._add("Add", [self._last, shift.name])
        self._add("Mul", [self._last, mask.name])
        self._add("Relu", [self._last])
        return self.at(Place(self._last, features.channels, features.side))

    def save(self, path: Path) -> Path:
        """Write the graph: float32 [1, 3, size, size] in, the same out."""
        shape = [1, 3, self._size, self._size]
        self._add("Sigmoid", [self._last])
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("image", self._last)
        ]
        graph = helper.make_graph(self._nodes, "peer", ends[:1], ends[1:], self._weights)
        # The oldest versions that have all of these operators.
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
        return path

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> None:  # noqa: ANN401 - ONNX attributes
        self._last = f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [self._last], **attributes))


def like_simswap() -> GraphOfShapes:
    """Return SimSwap's generator at 224 (Chen et al., 2020, and their code's fs_networks.py)."""
    graph = (
        GraphOfShapes(224).conv(64, 7).conv(128, stride=2).conv(256, stride=2).conv(512, stride=2)
    )
    # Nine residual blocks at 28 px: the middle of SimSwap's generator.
    for _ in range(9):
        graph.residual()

    for channels in (256, 128, 64):
        graph.enlarge().conv(channels)

    return graph.conv(3, 7, normed=False)


def like_inswapper() -> GraphOfShapes:
    """Return the generator of inswapper at 128, by the shapes in the published ONNX file."""
    graph = GraphOfShapes(128).conv(128, 7).conv(256).conv(512, stride=2).conv(1024, stride=2)
    # Six of 1,024 channels: where inswapper's time goes.
    for _ in range(6):
        graph.residual()

    graph.enlarge().conv(512).enlarge().conv(256).conv(128)
    return graph.conv(3, 7, normed=False)


def like_ghost() -> GraphOfShapes:
    """Return GHOST's AEI-Net at 256 (Groshev et al., 2022, and their code's AEI_Net.py).

    An encoder of attributes at eight sizes, and eight blocks that are modulated by them.
    """
    graph = GraphOfShapes(256)
    down = [graph.conv(width, 4, stride=2).place for width in (32, 64, 128, 256, 512, 1024, 1024)]
    attributes = [down.pop()]

    for width, skip in zip((1024, 512, 256, 128, 64, 32), reversed(down), strict=True):
        # Their transposed convolutions of 4 px are as many multiply-adds at the smaller size.
        attributes.append(graph.conv(width, 4).enlarge().joined(skip).place)

    attributes.append(graph.enlarge().place)
    graph.at(attributes[0])
    widths = (1024, 1024, 1024, 512, 256, 128, 64, 3)

    for number, (width, attribute) in enumerate(zip(widths, attributes, strict=True)):
        if number:
            graph.enlarge()
        _ghost_block(graph, width, attribute)

    return graph


def _ghost_block(graph: GraphOfShapes, width: int, attributes: Place) -> None:
    before = graph.place
    graph.attended(attributes).conv(before.channels, normed=False)
    graph.attended(attributes).conv(width, normed=False)
    # Where the number of channels changes, the short cut is a third layer.
    if width != before.channels:
        graph.at(before).attended(attributes).conv(width, normed=False)


@dataclass(frozen=True)
class Peer:
    """A generator, its input's side, and how many frames are enough to time it."""

    name: str
    graph: Callable[[], GraphOfShapes]
    size: int
    frames: int


PEERS = (
    Peer("GHOST", like_ghost, 256, 12),
    Peer("SimSwap-224", like_simswap, 224, 12),
    Peer("inswapper-128", like_inswapper, 128, 6),
)
