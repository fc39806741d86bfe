"""Q of the loss reweighting (docs/method.md 5): how good a teacher's image is, told from the
image alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# 3/16 of ResNet-18's widths: it is asked at every step of a training on the CPU.
WIDTHS = (12, 24, 48, 96)


class ResidualBlock(nn.Module):
    """ResNet's basic block; the first of a level halves the image."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        same = stride == 1 and channels_in == channels_out
        self.shortcut: nn.Module = nn.Identity()

        # A 1x1 convolution where the sizes differ, as in ResNet's second kind of shortcut.
        if not same:
            projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class QualityScorer(nn.Module):
    """The paper's ResNet-18 regressor at 3/16 of its width: RGB [n, 3, 224, 224] in 0..1 -> quality
    [n] in 0..1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        blocks: list[nn.Module] = []
        width = WIDTHS[0]

        for level, channels in enumerate(WIDTHS):
            blocks.append(ResidualBlock(width, channels, stride=1 if level == 0 else 2))
            blocks.append(ResidualBlock(channels, channels, stride=1))
            width = channels

        self.blocks = nn.Sequential(*blocks)
        self.score = nn.Linear(width, 1)

    def forward(self, crops: Tensor) -> Tensor:
        # The stem's 7 px kernel and pooling are ResNet's: the first levels see the image at a
        # quarter.
        x = F.relu(self.norm(self.stem(crops * 2 - 1)))
        pooled = self.blocks(F.max_pool2d(x, 3, 2, 1)).mean((2, 3))
        return torch.sigmoid(self.score(pooled)[:, 0])


def load_quality_scorer(path: Path) -> QualityScorer:
    """Return the frozen scorer from a float16 archive.

    Raises `OSError` or `KeyError` where the file is not one.
    """
    network = QualityScorer()
    with np.load(path, allow_pickle=False) as archive:
        state = {
            # Stored as halves, which is more than the scorer's own precision; computed in single
            # floats.
            name: torch.from_numpy(archive[name].astype(np.float32))
            for name in _kept(network)
        }

    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


def save_quality_scorer(network: QualityScorer, path: Path) -> None:
    """Write the weights in float16, about 0.8 MB."""
    state = network.state_dict()
    halves = {name: state[name].cpu().numpy().astype(np.float16) for name in _kept(network)}
    np.savez_compressed(path, **halves)


def _kept(network: QualityScorer) -> list[str]:
    """Return the tensors worth keeping: not the norms' batch counters, which only training uses."""
    return [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
