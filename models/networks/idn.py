"""The per-frame network: IDN (docs/method.md 4), whose 18 specialised tensors are an argument, not
parameters.

The paper's network sees the target alone; the open pack's also sees the identity's placed texture
and blends the two at full resolution, because a 112 px body cannot carry detail of its own. Its
decoder is lighter than the paper's (docs/decisions/0024-a-light-decoder.md): channels are mixed
before a layer enlarges, at a quarter of the cost. The paper's mask head goes with the paper's image
head; where the open pack's face shows is said by the cover network
(`models/networks/cover_net.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.body_layers import BodyLayer, body_layers

Head = Literal["paper", "blend"]
SpecialisedTensors = Mapping[str, Tensor]

# The paper's code has .1 throughout (docs/method.md 4).
SLOPE = 0.1
# From the deepest features up: the mask is coarse until its last levels.
MASK_WIDTHS = (512, 128, 64, 32, 8, 2)


def upsample(x: Tensor) -> Tensor:
    """Return x enlarged twice, bilinear with corners aligned: what the released weights were
    trained with.
    """
    # Corners aligned, as the released decoder was trained.
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Upsample(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return upsample(x)


def _activation() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


def paper_final() -> nn.Sequential:
    """Return the paper's image head.

    Positions in the sequence are the released checkpoint's key numbers.
    """
    first = [Upsample(), nn.Conv2d(32, 8, 1), nn.BatchNorm2d(8), _activation()]
    second = [nn.Conv2d(8, 3, 3, padding=1), nn.BatchNorm2d(3), _activation()]
    return nn.Sequential(*first, *second, nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())


def _mask_block(channels_in: int, channels_out: int) -> nn.Sequential:
    depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in)
    pointwise = nn.Conv2d(channels_in, channels_out, 1)
    return nn.Sequential(
        Upsample(), depthwise, pointwise, nn.BatchNorm2d(channels_out), _activation()
    )


def mask_head() -> nn.Sequential:
    """Return the mask head: 512x7x7 features -> 1x224x224 soft mask in 0..1."""
    blocks = [_mask_block(a, b) for a, b in itertools.pairwise(MASK_WIDTHS)]
    return nn.Sequential(*blocks, nn.Conv2d(2, 1, 3, padding=1), nn.Sigmoid())


class BlendHead(nn.Module):
    """Mixes placed texture and target at full resolution and adds what neither of them has.

    One 3x3 convolution at half resolution and a pixel shuffle give a weight and a residual per
    pixel; it starts as "show the placed texture", that is, at the teacher.
    """

    # sigmoid(3) = .95: an untrained network shows the placed texture, which is close to the answer.
    START_WEIGHT = 3.0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 16, 3, padding=1)
        # So small that at first nothing but the bias speaks.
        nn.init.normal_(self.conv.weight, std=1e-4)
        # The shuffle reads four neighbours per output channel: the first four are the weight's.
        self.conv.bias = nn.Parameter(torch.tensor([self.START_WEIGHT] * 4 + [0.0] * 12))

    def forward(self, features: Tensor, target: Tensor, texture: Tensor) -> Tensor:
        maps = F.pixel_shuffle(self.conv(features), 2)
        weight = torch.sigmoid(maps[:, :1])
        residual = torch.tanh(maps[:, 1:])
        return (target + weight * (texture - target) + residual).clamp(0, 1)


class IDN(nn.Module):
    """Injective identity network: target crop -> swapped face in the identity its tensors carry,
    and with the paper's head a soft mask.

    Args:
        inputs: 3, or 6 where the pack is texture-guided.
        head: "paper" (docs/method.md 4) or "blend" (needs 6 inputs).
    """

    def __init__(self, inputs: int = 3, head: Head = "paper") -> None:
        super().__init__()
        if head == "blend" and inputs != 6:
            raise ValueError("the blend head mixes target and texture: it needs 6 inputs")

        self.layers = body_layers(inputs, light=head == "blend")
        self.final: nn.Module = BlendHead() if head == "blend" else paper_final()
        self.mask = None if head == "blend" else mask_head()

    def forward(
        self, target: Tensor, weights: SpecialisedTensors, texture: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the face [n, 3, h, w] and the mask [n, 1, h, w] (None with the blend head), both
        in 0..1; the caller composes them.

        Args:
            target: RGB crops [n, 3, h, w] in 0..1, sides divisible by 32.
            weights: the 18 tensors of ONE identity, named and shaped as `specialised_shapes`.
            texture: the identity's texture placed on each target, like `target`; required with 6
            inputs.
        """
        features, deepest = self.body(
            target if texture is None else torch.cat([target, texture], 1), weights
        )
        if isinstance(self.final, BlendHead):
            assert texture is not None  # noqa: S101  six inputs were concatenated above
            return self.final(features, target, texture), None

        assert self.mask is not None  # noqa: S101  the paper's two heads go together
        # The mask must not shape the body (docs/method.md 4): its gradient ends here.
        return (1 + self.final(features)) / 2, self.mask(deepest.detach())

    def body(self, images: Tensor, weights: SpecialisedTensors) -> tuple[Tensor, Tensor]:
        """Return the features at half resolution, for the image head, and the deepest ones, for
        the mask head.
        """
        # To -1..1, which both heads were trained on.
        x = (images - 0.5) / 0.5
        skips = []

        for layer in self.layers[:5]:
            x = _encoded(x, layer, weights)
            skips.append(x)

        # The last decoder layer has no skip: the first encoder layer's features are not passed on.
        for layer, skip in zip(self.layers[5:], (skips[3], skips[2], skips[1], None), strict=True):
            x = _decoded(x, layer, weights)
            x = x if skip is None else torch.cat([x, skip], 1)

        return x, skips[4]


def _encoded(x: Tensor, layer: BodyLayer, weights: SpecialisedTensors) -> Tensor:
    depthwise = weights[f"{layer.name}.depthwise"]
    pointwise = weights[f"{layer.name}.pointwise"]
    x = F.conv2d(x, depthwise, stride=layer.stride, padding=1, groups=layer.depthwise_channels)
    return F.leaky_relu(F.conv2d(x, pointwise), SLOPE)


def _decoded(x: Tensor, layer: BodyLayer, weights: SpecialisedTensors) -> Tensor:
    if not layer.light:
        return _encoded(upsample(x), layer, weights)

    depthwise = weights[f"{layer.name}.depthwise"]
    x = upsample(F.conv2d(x, weights[f"{layer.name}.pointwise"]))
    x = F.conv2d(x, depthwise, padding=1, groups=layer.depthwise_channels)
    return F.leaky_relu(x, SLOPE)


def count_multiply_adds(inputs: int = 3, head: Head = "paper", size: int = 224) -> int:
    """Return the multiply-adds of one frame, counted by layer from shapes (interpolation and norms
    left out).
    """
    side = size
    total = 0

    for layer in body_layers(inputs, light=head == "blend"):
        before = side
        side = side // 2 if layer.stride == 2 else side * 2
        # Only a light layer mixes its channels before it enlarges.
        mixed = before if layer.light else side
        total += side**2 * layer.depthwise_numbers + mixed**2 * layer.pointwise_numbers

    # The blend head works at half size and is shuffled up.
    if head == "blend":
        return total + (size // 2) ** 2 * 9 * 32 * 16

    full = size**2
    total += full * (32 * 8 + 9 * 8 * 3 + 9 * 3 * 3)

    for level, (a, b) in enumerate(itertools.pairwise(MASK_WIDTHS)):
        total += (size // 32 * 2 ** (level + 1)) ** 2 * (9 * a + a * b)

    return total + full * 9 * 2


def unit_rows(weight: Tensor, epsilon: float) -> Tensor:
    """Return pointwise weights [..., out, in] with every output row scaled to length one."""
    return weight * torch.rsqrt((weight * weight).sum(-1, keepdim=True) + epsilon)


def identity_scale(dimension: int) -> float:
    """Return the factor that gives a unit vector of this dimension unit variance."""
    return math.sqrt(dimension)
