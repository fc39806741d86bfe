"""Batches for refinement: targets of the bank, and what the teacher makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.inference.errors import BadIdentityError
from models.inference.identity import IdentityCode
from models.inference.texture.face_texture import CanonicalFace
from models.refinement.target_bank import Target, TargetBank
from models.training.batch import as_tensor
from models.training.loop import prefetched
from models.training.teacher import Source, teach

HELD_BACK = 24  # faces of the bank that only judge before and after: a tenth of it


@dataclass(frozen=True)
class Batch:
    """Targets, and what they should become: RGB float32 [n, 3, 224, 224] in 0..1.

    `texture` is the identity's, placed on each target; `truth` the teacher's composite of it; mask
    [n, 1, 224, 224] in 0..1 says where the two differ.
    """

    target: Tensor
    texture: Tensor
    truth: Tensor
    mask: Tensor


@dataclass(frozen=True)
class BatchMaker:
    """Makes the batches of one identity, whose texture the teacher places."""

    canonical: CanonicalFace
    bank: TargetBank
    source: Source

    def held_back(self) -> Batch:
        """Return the faces that are never trained on."""
        return self._batch([self.bank.target(index) for index in range(HELD_BACK)])

    def endless(self, size: int, seed: int) -> Iterator[Batch]:
        """Yield batches of `size` targets, each prepared while the one before is learnt.

        Batch k of a seed is always the same.
        """

        def prepare(step: int) -> Batch:
            # Seeded by step, so that a refinement can be repeated whatever the prefetching thread
            # does.
            rng = np.random.default_rng((seed, step))
            return self._batch([self.bank.draw(rng, HELD_BACK) for _ in range(size)])

        return prefetched(prepare)

    def _batch(self, targets: Sequence[Target]) -> Batch:
        taught = [
            # Made on the CPU by the second thread while the network's step runs in the first.
            teach(self.canonical, self.source, target.crop, target.mesh)
            for target in targets
        ]
        masks = np.stack([placed.mask for _, placed in taught])

        return Batch(
            target=as_tensor([target.crop for target in targets]),
            texture=as_tensor([placed.texture for _, placed in taught]),
            truth=as_tensor([swap for swap, _ in taught]),
            mask=torch.from_numpy(masks[:, None].astype(np.float32)),
        )


def source_of(code: IdentityCode) -> Source:
    """Return the texture and mesh of an identity.

    Raises BadIdentityError for a code without a texture, as those of packs without guidance are.
    """
    if code.texture is None or code.landmarks is None:
        raise BadIdentityError("only identities with a texture can be refined")

    return Source(code.texture, code.landmarks)
