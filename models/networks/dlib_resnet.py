"""dlib's face recognition ResNet v1: the identity encoder of the open pack, and the
perceptual measure of its training.

Architecture: dlib's examples/dnn_face_recognition_ex.cpp (anet_type), affine layers folded into the
convolutions.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

MEAN_RGB = (122.782, 117.001, 104.298)  # of 255; dlib divides by 256 afterwards

# (name, blocks, width), from the image up; the first block of every level but level4 halves the
# image.
LEVELS = (
    ("level4", 3, 32),
    ("level3", 4, 64),
    ("level2", 3, 128),
    ("level1", 3, 256),
    ("level0", 1, 256),
)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut that average pooling and zero padding fit to them."""

    def __init__(self, channels_in: int, channels_out: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        stride, padding = (2, 0) if halve else (1, 1)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        if self.halve:
            x = F.avg_pool2d(x, 2)

        # dlib's add_prev pads the smaller of the two with zeros, at the end of every axis.
        shape = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]
        return F.relu(_grown(x, shape) + _grown(y, shape))


def _grown(x: Tensor, shape: list[int]) -> Tensor:
    channels, height, width = (want - have for want, have in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels))


class DlibResnet(nn.Module):
    """RGB chips [n, 3, 150, 150] in 0..1 -> embeddings [n, 128], not normalised (dlib's own
    scale).
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)
        self.stem = nn.Conv2d(3, 32, 7, 2)
        width = 32

        for name, blocks, channels in LEVELS:
            shapes = [
                (width if i == 0 else channels, i == 0 and name != "level4") for i in range(blocks)
            ]
            self.add_module(
                name, nn.Sequential(*(Block(a, channels, halve=halve) for a, halve in shapes))
            )
            width = channels

        self.embed = nn.Linear(256, 128, bias=False)

    def features(self, chips: Tensor, depth: int = len(LEVELS)) -> list[Tensor]:
        """Return the outputs of the stem (before pooling, 32x72x72) and of the first `depth`
        levels, shallow first.
        """
        x = F.relu(self.stem((chips * 255 - self.mean) / 256))
        outputs = [x]
        x = F.max_pool2d(x, 3, 2)

        for name, _, _ in LEVELS[:depth]:
            x = self.get_submodule(name)(x)
            outputs.append(x)

        return outputs

    def forward(self, chips: Tensor) -> Tensor:
        embedding: Tensor = self.embed(self.features(chips)[-1].mean((2, 3)))
        return embedding


def load_dlib_resnet(encoder: Path) -> DlibResnet:
    """Return the frozen network with the weights of an open pack's `encoder.onnx`, differentiable
    in its input.
    """
    network = DlibResnet()
    tensors = {tensor.name: tensor for tensor in onnx.load(encoder).graph.initializer}
    network.load_state_dict(
        {
            name: torch.from_numpy(numpy_helper.to_array(tensors[name]).copy())
            for name in network.state_dict()
        }
    )

    return network.eval().requires_grad_(False)
