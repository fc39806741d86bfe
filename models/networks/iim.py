"""The identity injection modules: an identity in, the IDN's 18 specialised tensors out.

`OpenIIM` is the open pack's (docs/method.md 9), `Conditioner` the released checkpoint's
(docs/method.md 3). Both return name -> tensor with the identities first: depthwise [n, C, 1, k, k],
pointwise [n, out, in, 1, 1].
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.body_layers import BodyLayer, body_layers
from models.networks.idn import SLOPE, identity_scale, unit_rows

Weights = dict[str, Tensor]


def one_identity(weights: Weights, index: int) -> Weights:
    """Return the 18 tensors of one identity, without the leading dimension, as `IDN.forward` takes
    them.
    """
    return {name: tensor[index] for name, tensor in weights.items()}


class OpenIIM(nn.Module):
    """Embedding -> specialised tensors: shared bases, modulated by one linear and a low-rank
    residual.

    Args:
        inputs: input channels of the IDN it feeds (3 or 6).
        dimension: length of the embedding (dlib: 128).
        light: whether that IDN's decoder is (`body_layers`).
    """

    # Keeps an all-zero row from dividing by zero; far below what any trained weight squares to.
    EPSILON = 1e-8
    # How far identities differ from their mean when training starts: enough to be told apart, not
    # more.
    STYLE_SPREAD = 0.3

    def __init__(
        self,
        inputs: int = 6,
        dimension: int = 128,
        hidden: int = 512,
        rank: int = 64,
        light: bool | None = None,
    ) -> None:
        super().__init__()
        self.layers = body_layers(inputs, light=light)
        self.dimension = dimension
        kernels = sum(layer.depthwise_numbers for layer in self.layers)
        # The trunk only prepares the code for the heads below, which hold most of the numbers.
        self.trunk = nn.Sequential(
            nn.Linear(dimension, hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(SLOPE),
        )

        self.style = nn.Linear(hidden, sum(layer.channels_in for layer in self.layers))
        # A kernel is the mean one plus a difference of low rank: full rank would take eight times
        # as many numbers.
        self.down = nn.Linear(hidden, rank)
        self.kernel_residual = nn.Linear(rank, kernels, bias=False)
        self.kernel_base = nn.Parameter(
            torch.cat([_starting_kernels(layer) for layer in self.layers])
        )
        self.pointwise = nn.ParameterList(
            [
                nn.Parameter(torch.randn(layer.channels_out, layer.channels_in))
                for layer in self.layers
            ]
        )
        self._initialise()

    def _initialise(self) -> None:
        for linear in (self.trunk[0], self.trunk[2], self.style, self.down, self.kernel_residual):
            assert isinstance(linear, nn.Linear)  # noqa: S101  narrows the type
            # He's initialisation for leaky ReLU, with a slope so small that it may be left out.
            nn.init.normal_(linear.weight, std=math.sqrt(2 / linear.in_features))

            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

        nn.init.normal_(
            self.style.weight, std=self.STYLE_SPREAD / math.sqrt(self.style.in_features)
        )
        nn.init.normal_(self.down.weight, std=1 / math.sqrt(self.down.in_features))
        # Depthwise kernels start with a norm of about .35 a tap; differences between people with a
        # part of it.
        residual = self.kernel_residual
        nn.init.normal_(
            residual.weight, std=self.STYLE_SPREAD * 0.35 / math.sqrt(residual.in_features)
        )

    def forward(self, embedding: Tensor) -> Weights:
        """Return the tensors for embeddings [n, dimension], centred by the pack's mean and
        L2-normalised.
        """
        # A unit vector has components of 1/sqrt(D); scaled back to about 1, as the trunk expects.
        hidden = self.trunk(embedding * identity_scale(self.dimension))
        styles = self.style(hidden).split([layer.channels_in for layer in self.layers], 1)
        kernels = (self.kernel_base + self.kernel_residual(self.down(hidden))).split(
            [layer.depthwise_numbers for layer in self.layers], 1
        )
        weights: Weights = {}

        for layer, base, style, kernel in zip(
            self.layers, self.pointwise, styles, kernels, strict=True
        ):
            shape = (-1, layer.depthwise_channels, 1, layer.kernel, layer.kernel)
            weights[f"{layer.name}.depthwise"] = kernel.reshape(shape)
            weights[f"{layer.name}.pointwise"] = _modulate(base, style, self.EPSILON)

        return weights


def _starting_kernels(layer: BodyLayer) -> Tensor:
    kernels = torch.randn(layer.depthwise_channels, layer.kernel**2) * 0.35
    # A kernel starts close to the identity, so that the untrained network passes its image through.
    if layer.kernel == 3:
        kernels[:, 4] += 0.8
    else:
        kernels += 0.25

    return F.normalize(kernels, dim=1).mul(math.sqrt(2)).flatten()


def _modulate(base: Tensor, style: Tensor, epsilon: float) -> Tensor:
    """Return [n, out, in, 1, 1]: `base` [out, in] with its inputs scaled by 1 + style [n, in],
    rows of length one.
    """
    return unit_rows(base * (1 + style)[:, None], epsilon)[..., None, None]


class Conditioner(nn.Module):
    """The released IIM: depthwise kernels predicted from a feature map, pointwise ones modulated by
    the embedding.

    Attribute names are the released checkpoint's, so that its keys load without a table.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = body_layers(3)
        self.predictor = Predictor()
        self.EncoderModulation = nn.ModuleList([Modulation(layer) for layer in self.layers[:5]])
        self.DecoderModulation = nn.ModuleList([Modulation(layer) for layer in self.layers[5:]])

    def forward(self, feature_map: Tensor, embedding: Tensor) -> Weights:
        """Return the tensors for feature maps [n, 512, 7, 7] and L2-normalised embeddings [n,
        512].
        """
        kernels = self.predictor(feature_map)
        modulations = [*self.EncoderModulation, *self.DecoderModulation]
        weights: Weights = {}

        for layer, kernel, modulation in zip(self.layers, kernels, modulations, strict=True):
            weights[f"{layer.name}.depthwise"] = kernel.unsqueeze(2)
            weights[f"{layer.name}.pointwise"] = modulation(embedding)

        return weights


class Modulation(nn.Module):
    """Weights modulation of one pointwise layer (docs/method.md 3): w' = W * (1 + s), rows of
    length one.
    """

    EPSILON = 1e-16

    def __init__(self, layer: BodyLayer, dimension: int = 512) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layer.channels_out, layer.channels_in, 1, 1))
        self.style = nn.Linear(dimension, layer.channels_in)

    def forward(self, embedding: Tensor) -> Tensor:
        return _modulate(self.weight[:, :, 0, 0], self.style(embedding), self.EPSILON)


class EmittingBlock(nn.Module):
    """A trunk convolution and, on its output, the convolution that emits one layer's kernels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels_out)
        self.weight = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.leaky_relu(self.norm(self.conv(x)), SLOPE)
        return x, self.weight(x)


class Predictor(nn.Module):
    """Weights prediction (docs/method.md 3): feature map -> nine sets of depthwise kernels in the
    IDN's running order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(512, 512, 4)
        self.norm = nn.BatchNorm2d(512)
        self.encoder = _chain((512, 256, 128, 64, 32, 3))
        self.first_decoder = nn.Conv2d(512, 512, 2)
        self.decoder_norm = nn.BatchNorm2d(512)
        self.decoder = _chain((512, 512, 512, 256, 128))

    def forward(self, feature_map: Tensor) -> list[Tensor]:
        seed = F.leaky_relu(self.norm(self.first(feature_map)), SLOPE)
        decoder_seed = F.leaky_relu(self.decoder_norm(self.first_decoder(seed)), SLOPE)
        # The encoder's chain narrows while the IDN's encoder widens: its kernels come out last
        # layer first.
        return _emit(self.encoder, seed)[::-1] + _emit(self.decoder, decoder_seed)


def _chain(widths: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList([EmittingBlock(a, b) for a, b in itertools.pairwise(widths)])


def _emit(chain: nn.ModuleList, x: Tensor) -> list[Tensor]:
    kernels = []
    for block in chain:
        x, kernel = block(x)
        kernels.append(kernel)
    return kernels
