"""ArcFace IR-SE-101: the identity encoder of the official pack (docs/method.md 2).

Attribute names are the released checkpoint's, so that its keys load without a table.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ImageNet's mean and deviation, as the released preprocessing has them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SIZE = 112
EMBEDDING = 512
# The blocks of what is called IR-SE-101.
LEVELS = ((64, 3), (128, 4), (256, 23), (512, 3))  # width and blocks of layer1..4


class SqueezeExcite(nn.Module):
    """Scales channels by what their means say."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden), nn.PReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.fc(x.mean((2, 3)))
        return x * scale[:, :, None, None]


class Block(nn.Module):
    """An IR-SE block; its one PReLU acts twice, after conv1 and after the sum."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_in, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.se = SqueezeExcite(channels_out)
        shortcut = [
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
            nn.BatchNorm2d(channels_out),
        ]
        self.downsample = None if stride == 1 else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        y = self.se(self.bn2(self.conv2(y)))
        # The first block of a level halves the image, so that its shortcut has to as well.
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.prelu(y + shortcut)
        return activated


class ArcFace(nn.Module):
    """RGB crops [n, 3, 112, 112] in 0..1 -> feature map [n, 512, 7, 7] and embedding [n, 512] of L2
    norm 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)
        # No padding here: the released weights turn 112 px into 110, and the pooling into 55.
        self.conv1 = nn.Conv2d(3, 64, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        width = 64

        for level, (channels, blocks) in enumerate(LEVELS, start=1):
            stride = 1 if level == 1 else 2
            first = Block(width, channels, stride)
            rest = [Block(channels, channels, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{level}", nn.Sequential(first, *rest))
            width = channels

        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, EMBEDDING)
        self.bn3 = nn.BatchNorm1d(EMBEDDING)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        x = self.prelu(self.bn1(self.conv1((crops - self.mean) / self.std)))
        x = F.max_pool2d(x, 2)

        for level in range(1, len(LEVELS) + 1):
            x = self.get_submodule(f"layer{level}")(x)

        # Read by the IIM's predictor beside the code itself (docs/method.md 3).
        feature_map: Tensor = self.bn2(x)
        return feature_map, F.normalize(self.bn3(self.fc(feature_map.flatten(1))))
