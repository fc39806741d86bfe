"""What one step of the trainer is given, and images as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inference.arrays import RgbImage

Array = NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """One target and its truth, of which a `Batch` has many: images uint8 [224, 224, 3], planes
    float32 [224, 224].
    """

    target: RgbImage
    texture: RgbImage
    truth: RgbImage
    mask: Array
    known: Array
    real: float


@dataclass(frozen=True)
class Batch:
    """One step's material, `identities` x `targets` samples, identities outermost; images RGB
    float32 in 0..1.

    target, texture (placed), truth [n, 3, 224, 224]; mask [n, 1, 224, 224]; known likewise: 1
    where the truth can be told from target and texture; real [n]: 1 where the truth is a
    photograph, 0 where it is the teacher's; embeddings [identities, 128]; canonical textures
    [identities, 3, 224, 224].
    """

    target: Tensor
    texture: Tensor
    truth: Tensor
    mask: Tensor
    known: Tensor
    embeddings: Tensor
    canonical: Tensor
    real: Tensor

    def to(self, device: torch.device) -> Batch:
        # One field after the other by name, so that a field that is added moves too.
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in self.__dataclass_fields__
        }
        return Batch(**moved)


def as_planes(planes: list[Array]) -> Tensor:
    """Return planes [h, w] as float32 [n, 1, h, w]."""
    return torch.from_numpy(np.stack(planes)[:, None].astype(np.float32))


def as_tensor(images: list[RgbImage]) -> Tensor:
    """Return RGB images as float32 [n, 3, h, w] in 0..1, channels last in memory."""
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return stacked.float().div(255).contiguous(memory_format=torch.channels_last)
