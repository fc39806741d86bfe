"""Brows of a placed face: raised and lowered as far as the target's are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks
from models.inference.finding.eyes.eye_axes import INNER, OUTER
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.mesh_points import BROWS

# Of the eye's width, around a brow: skin that moves with it, and skin that stays, as lids do.
NEAR = 0.2
FAR = 0.42
# By how much further brows are moved than the mesh reads. Placed on a video of itself where the
# mesh reads them, a face is seen to raise its brows by .77 of what it does (nine videos, .66 and
# .83 in the halves): one whose brows alone move is read as if its head said otherwise.
GAIN = 0.35

Array = NDArray[Any]


@dataclass(frozen=True)
class Brows:
    """Where brows lie on the canonical face; `front` is float32 [468, 2], its points."""

    front: Array

    def heights(self, mesh: Landmarks) -> Array:
        """Return how far each brow stands above its eye's corners in a swap crop, pixels [2]."""
        return np.array(
            [
                mesh[[lids[OUTER], lids[INNER]], 1].mean() - mesh[list(brow), 1].mean()
                for brow, lids in zip(BROWS, LIDS, strict=True)
            ]
        )

    def with_expression(self, mesh: Landmarks, expression: Array) -> Landmarks:
        """Return a mesh whose brows are moved as far as they look to be.

        `expression` [2] is how much higher than at rest each brow stands, in pixels of the crop.
        """
        moved = mesh.copy()
        moved[:, 1] -= self.near.T @ (GAIN * expression)
        return moved

    @cached_property
    def near(self) -> Array:
        """Per brow and point: 1 on it and just around it, 0 on the lids and further out."""
        shares = []
        for brow, lids in zip(BROWS, LIDS, strict=True):
            width = np.linalg.norm(self.front[lids[INNER]] - self.front[lids[OUTER]])
            apart = self.front[:, None] - self.front[list(brow)][None]
            far = np.linalg.norm(apart, axis=-1).min(axis=1) / width
            shares.append(np.clip((FAR - far) / (FAR - NEAR), 0, 1))

        return np.stack(shares).astype(np.float32)
