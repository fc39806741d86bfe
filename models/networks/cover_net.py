"""The cover network: which pixels of a face are hidden by hair, glasses or an object, from one
image alone.

It takes the place of the paper's mask head in the open pack. That head reads 7 x 7 features, which
hold no edge of a finger; this one is a small U-Net whose skip connections begin at 56 x 56. It is
the same for every identity, so it runs before the identity's texture is placed and lit.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 112  # half of the swap crop: a finger is still 6 px wide, and the cost is a quarter
INPUTS = 8  # RGB and the five planes of the face guide
KINDS = ("hair", "glasses", "object")
SLOPE = 0.1
ENCODER = (INPUTS, 12, 24, 40)  # each level at half the side of the one before
MIDDLE = 54  # at 7 x 7, where one pixel sees the whole face
DECODER = (32, 20, 16)  # at 14, 28 and 56, each joined by the encoder's level of that side
RARE = -2.0  # the output's first bias: most pixels are not covered


class CoverNet(nn.Module):
    """RGB and face guide [n, 8, 112, 112] -> logits [n, 3, 112, 112], one plane of each of
    `KINDS`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([_block(a, b, stride=2) for a, b in pairwise(ENCODER)])
        self.middle = nn.Sequential(
            _block(ENCODER[3], MIDDLE, stride=2), _block(MIDDLE, ENCODER[3])
        )
        joined = (2 * ENCODER[3], DECODER[0] + ENCODER[2], DECODER[1] + ENCODER[1])
        self.decoder = nn.ModuleList([_block(a, b) for a, b in zip(joined, DECODER, strict=True)])
        self.output = nn.Conv2d(DECODER[2], 4 * len(KINDS), 3, padding=1)
        nn.init.constant_(_bias(self.output), RARE)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; images are RGB in -1..1, guides as `face_guide` draws them."""
        levels = []
        for block in self.encoder:
            x = block(x)
            levels.append(x)

        x = self.middle(x)
        for block, level in zip(self.decoder, reversed(levels), strict=True):
            x = block(torch.cat([_doubled(x), level], 1))

        return F.pixel_shuffle(self.output(x), 2)


def count_cover_multiply_adds() -> int:
    """Return the multiply-adds of one face, counted from shapes."""
    total = 0
    side = SIZE

    for a, b in pairwise(ENCODER):
        side //= 2
        total += side * side * 9 * a * b

    total += 2 * (side // 2) ** 2 * 9 * ENCODER[3] * MIDDLE
    joined = (2 * ENCODER[3], DECODER[0] + ENCODER[2], DECODER[1] + ENCODER[1])

    for index, (a, b) in enumerate(zip(joined, DECODER, strict=True)):
        total += (side << index) ** 2 * 9 * a * b

    return total + (side << 2) ** 2 * 9 * DECODER[2] * 4 * len(KINDS)


def _block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(SLOPE),
    )


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None  # noqa: S101  narrows the type
    return convolution.bias
