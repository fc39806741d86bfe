"""A patch discriminator: says for each patch of a crop whether it is a photograph.

Training only.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Four spectrally normalised convolutions; each output sees 46 px of its input."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        # Spectral norm bounds how fast the judge can change, which keeps a hinge loss from
        # exploding.
        strided = [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in itertools.pairwise(widths)]
        self.layers = nn.ModuleList(strided)
        # One verdict a patch, not one an image: what it judges is texture.
        self.judge = spectral_norm(nn.Conv2d(4 * width, 1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the verdicts [n, 1, h/8, w/8] on RGB images in 0..1, and the features they rest
        on.
        """
        x = images * 2 - 1
        features = []

        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)

        return self.judge(x), features
