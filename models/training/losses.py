"""The paper's loss terms (docs/method.md 5), with the open pack's encoder in the place of ArcFace
and VGG.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.inference.finding.face_mesh import INPUT_SIZE
from models.inference.frames.affine import compose
from models.inference.mesh_points import OUTER_EYE_CORNERS
from models.networks.dlib_resnet import DlibResnet, load_dlib_resnet
from models.networks.mesh_network import MeshNetwork
from models.training.dataset import CHIP_OF_TEMPLATE, CHIP_SIZE, SWAP_SHIFT

# Upper and lower points of the mesh: inner lips, then the lids of either eye.
MOUTH = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
EYES = ((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373))
PERCEPTUAL_DEPTH = 2  # levels of the encoder below the stem: texture, not yet identity


@dataclass(frozen=True)
class Weights:
    """Weights of the terms.

    The paper's, with `real` for pairs whose truth is a photograph of the same person.
    """

    # The paper's weights (docs/method.md 5) unless said otherwise.
    reconstruction: float = 30.0
    perceptual: float = 5.0
    identity: float = 3.0
    mask: float = 10.0
    # Small: the discriminator sharpens, it must not decide what the face looks like.
    adversarial: float = 0.1
    features: float = 1.0
    # Of ratios of some hundredths, where the others are differences of pixels up to 1.
    expression: float = 20.0
    real: float = 0.8


class FaceEncoder(nn.Module):
    """The open pack's encoder looking at swap crops, differentiable: embeddings and early
    features.
    """

    chip_grid: Tensor
    mean: Tensor

    def __init__(self, resnet: DlibResnet, embedding_mean: Tensor, crop_to_chip: Tensor) -> None:
        super().__init__()
        self.resnet = resnet
        self.register_buffer("mean", embedding_mean, persistent=False)
        self.register_buffer(
            "chip_grid", _sampling_grid(crop_to_chip, CHIP_SIZE, 224), persistent=False
        )

    def forward(self, crops: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return centred unit embeddings [n, 128] and the features of `PERCEPTUAL_DEPTH` levels
        and the stem.
        """
        grid = self.chip_grid.expand(len(crops), -1, -1, -1)
        chips = F.grid_sample(
            crops, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        features = self.resnet.features(chips)
        embedding = self.resnet.embed(features[-1].mean((2, 3)))

        return F.normalize(embedding - self.mean, dim=1), features[: PERCEPTUAL_DEPTH + 1]


class Expression(nn.Module):
    """How far mouth and eyes are open, as the face mesh sees it in a swap crop; differentiable."""

    def __init__(self, mesh: MeshNetwork) -> None:
        super().__init__()
        self.mesh = mesh

    def forward(self, crops: Tensor) -> Tensor:
        """Return the openings [n, 11] as shares of the eye distance."""
        points = self.mesh(F.interpolate(crops, INPUT_SIZE, mode="bilinear", align_corners=False))
        apart = [
            # Divided by the eyes' distance, so that the size of the face does not matter.
            (points[:, a] - points[:, b]).norm(dim=1)
            for a, b in (*MOUTH, *EYES, OUTER_EYE_CORNERS)
        ]
        shares: Tensor = torch.stack(apart[:-1], 1) / apart[-1][:, None]

        return shares


def face_encoder(graph: Path, embedding_mean: NDArray[Any]) -> FaceEncoder:
    """Return the open pack's encoder, frozen, looking at swap crops as production looks at
    photographs.
    """
    # The crop lies lower than the template by `SWAP_SHIFT`; the chip is defined from the template.
    unshift = np.array([[1, 0, -SWAP_SHIFT[0]], [0, 1, -SWAP_SHIFT[1]]])
    crop_to_chip = torch.from_numpy(compose(CHIP_OF_TEMPLATE, unshift))
    mean = torch.from_numpy(np.asarray(embedding_mean, np.float32))

    return FaceEncoder(load_dlib_resnet(graph), mean, crop_to_chip)


def _sampling_grid(matrix: Tensor, size: int, source: int) -> Tensor:
    """Return the grid_sample grid [1, size, size, 2] of the crop that `matrix` [2, 3] maps a
    source image to.
    """
    inverse = torch.linalg.inv(torch.cat([matrix, matrix.new_tensor([[0, 0, 1]])]))
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], -1).to(matrix.dtype) @ inverse[:2].T
    grid: Tensor = (places + 0.5) / source * 2 - 1

    return grid.float()[None]


def over_mask(error: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of an error [n, c, h, w] over the masked area of each sample [n]."""
    # 1e-6: a target that is wholly covered has an empty mask, and no error.
    return (error * mask).sum((1, 2, 3)) / (error.shape[1] * mask.sum((1, 2, 3)) + 1e-6)


def reconstruction(face: Tensor, truth: Tensor, mask: Tensor, tolerance: float = 0.0) -> Tensor:
    """Return the L1 distance inside the face, per sample [n].

    Errors below `tolerance` (0..1) count squared.
    """
    return over_mask(F.smooth_l1_loss(face, truth, beta=tolerance, reduction="none"), mask)


def perceptual(ours: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Return the features' squared distance relative to their own energy, per sample [n]."""
    terms = [
        ((a - b) ** 2).mean((1, 2, 3)) / ((b**2).mean((1, 2, 3)) + 1e-6)
        for a, b in zip(ours, wanted, strict=True)
    ]
    return torch.stack(terms).mean(0)


def teacher_quality(source: Tensor, teacher: Tensor, quality: Tensor) -> Tensor:
    """Return alpha = cos(z_source, z_teacher)^2 * Q per sample [n] (the paper's reweighting)."""
    return (source * teacher).sum(1).clamp(min=0) ** 2 * quality


def mask_entropy(mask: Tensor, truth: Tensor) -> Tensor:
    """Return the cross entropy of the mask head: an L1 on the composite would teach it to
    hedge.
    """
    # Logarithms of 0 and 1 are infinite; 1e-4 is below what an 8 bit mask can show.
    return F.binary_cross_entropy(mask.float().clamp(1e-4, 1 - 1e-4), truth)


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's loss on verdicts about photographs and about swaps."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def feature_matching(ours: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Return how far the discriminator's features of swaps are from those of what they should look
    like.
    """
    return torch.stack(
        [(a - b.detach()).abs().mean() for a, b in zip(ours, wanted, strict=True)]
    ).mean()
