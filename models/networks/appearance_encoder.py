"""An identity's texture as a code beside its embedding: an optional second input of the open pack's
IIM.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

CODE = 64
WIDTHS = (3, 24, 48, 96, 128)
SEEN = 56  # colours and features of the face; fine detail is the placed texture's to give


class AppearanceEncoder(nn.Module):
    """Canonical textures RGB [n, 3, 224, 224] in 0..1 -> codes [n, 64] of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(WIDTHS)]
        )
        self.code = nn.Linear(WIDTHS[-1] * 4, CODE)

    def forward(self, textures: Tensor) -> Tensor:
        x = F.interpolate(textures, SEEN, mode="area") - 0.5
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
        return F.normalize(self.code(F.adaptive_avg_pool2d(x, 2).flatten(1)), dim=1)
