"""Writes torch layers as ONNX nodes: what the exporters of IDN, IIM and ArcFace share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from models.export.graph_builder import GraphBuilder
from models.networks.idn import SLOPE


class NetworkGraph(GraphBuilder):
    """A graph builder that takes its weights from torch layers in eval mode.

    Batch norms fold into what they follow.
    """

    def __init__(self, *, half: bool = False) -> None:
        super().__init__()
        self._half = half

    def weight(self, name: str, value: NDArray[np.float32]) -> str:
        """Return a float32 weight, stored as float16 where the graph was asked to be small."""
        return self.half_constant(name, value) if self._half else self.constant(name, value)

    def convolution(self, x: str, name: str, conv: nn.Module, norm: nn.Module | None = None) -> str:
        """Return the output of a convolution, into which the `norm` after it is folded."""
        assert isinstance(conv, nn.Conv2d)  # noqa: S101  narrows the type
        weight = array(conv.weight)
        bias = np.zeros(len(weight), np.float32) if conv.bias is None else array(conv.bias)

        if norm is not None:
            # With fixed statistics a norm is a gain and a shift, which the convolution takes in.
            gain, shift = norm_scale(norm)
            weight = weight * gain[:, None, None, None]
            bias = bias * gain + shift

        inputs = [x, self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", bias)]
        # torch names one pad for both sides; ONNX wants begins, then ends.
        pads = [int(side) for side in conv.padding] * 2
        return self.node(
            "Conv", inputs, f"{name}.out", strides=list(conv.stride), pads=pads, group=conv.groups
        )

    def linear(self, x: str, name: str, linear: nn.Module) -> str:
        """Return the output of a linear layer."""
        assert isinstance(linear, nn.Linear)  # noqa: S101  narrows the type
        inputs = [x, self.weight(f"{name}.weight", array(linear.weight))]
        if linear.bias is not None:
            inputs.append(self.weight(f"{name}.bias", array(linear.bias)))
        return self.node("Gemm", inputs, f"{name}.out", transB=1)

    def leaky_relu(self, x: str) -> str:
        """Return a leaky ReLU with the networks' slope."""
        return self.node("LeakyRelu", [x], f"{x}.act", alpha=SLOPE)

    def reshape(self, x: str, name: str, shape: list[int]) -> str:
        return self.node(
            "Reshape", [x, self.constant(f"{name}.shape", np.array(shape, np.int64))], name
        )

    def slice(self, x: str, start: int, end: int) -> str:
        """Return the channels or columns `start` to `end`: axis 1."""
        # Named by its number, so that all slices share it.
        bounds = [self.constant(f"position.{n}", np.array([n], np.int64)) for n in (start, end)]
        return self.node(
            "Slice",
            [x, *bounds, self.constant("axis.1", np.array([1], np.int64))],
            f"{x}.{start}to{end}",
        )


def array(tensor: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.detach().float().numpy()
    return values


def norm_scale(norm: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return gain and shift per channel of a batch norm in eval mode: y = gain * x + shift."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)  # noqa: S101  narrows the type
    assert norm.running_var is not None and norm.running_mean is not None  # noqa: S101, PT018  kept by default
    # Computed in single floats, as torch does: the comparison afterwards allows for rounding alone.
    gain = array(norm.weight) / np.sqrt(array(norm.running_var) + np.float32(norm.eps))
    return gain, array(norm.bias) - array(norm.running_mean) * gain
