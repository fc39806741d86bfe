"""Generators of the size of better-known face swappers: their layers' shapes with random weights,
nothing of theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class GraphOfShapes:
    """A chain of convolutions on one image, written down layer by layer."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._last = "image"
        self._channels = 3

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
        # The same size out as in, as these generators have it.
        pads = [kernel // 2] * 4
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
        return self

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


def like_simswap_224(path: Path) -> Path:
    """SimSwap's generator at 224: about 48 G multiply-adds."""
    graph = (
        GraphOfShapes(224).conv(64, 7).conv(128, stride=2).conv(256, stride=2).conv(512, stride=2)
    )
    # Nine residual blocks at 28 px: the middle of SimSwap's generator.
    for _ in range(9):
        graph.residual()

    for channels in (256, 128, 64):
        graph.enlarge().conv(channels)

    return graph.conv(3, 7, normed=False).save(path)


def like_inswapper_128(path: Path) -> Path:
    """Return the generator of inswapper at 128: about 175 G multiply-adds."""
    graph = GraphOfShapes(128).conv(128, 7).conv(256).conv(512, stride=2).conv(1024, stride=2)
    # Six of 1,024 channels: where inswapper's time goes.
    for _ in range(6):
        graph.residual()

    graph.enlarge().conv(512).enlarge().conv(256).conv(128)
    return graph.conv(3, 7, normed=False).save(path)
