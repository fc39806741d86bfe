"""A placed face and its target on a coarse grid: where both show skin, and of which colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, Mask, RgbImage
from models.inference.texture.light.skin import (
    beard,
    features_on_grid,
    lab_of,
    lower_face,
    on_grid,
    skinness,
)

FLOOR = 4.0  # levels: keeps logarithms of the dark apart from noise

Array = NDArray[Any]


@dataclass(frozen=True)
class Scene:
    """Face and target on the grid: colours float32 [GRID, GRID, 3], weights [GRID, GRID] 0..1.

    `own_skin`, `target_skin` are where each shows skin of its own colour; `both` where both do;
    `own_beardless`, `target_beardless` where it has no grey beard.
    """

    own: Array
    target: Array
    where: Array
    features: Array
    own_skin: Array
    target_skin: Array
    own_beardless: Array
    target_beardless: Array
    own_colour: Array
    target_colour: Array

    @classmethod
    def of(cls, drawn: RgbImage, target: RgbImage, where: Mask, mesh: Landmarks) -> Scene:
        small = on_grid(drawn)
        wanted = on_grid(target)
        weight = on_grid(where)
        features = features_on_grid(mesh)
        core = weight * (1 - features)
        lower = lower_face(mesh)
        own_lab = lab_of(small)
        target_lab = lab_of(wanted)
        own_beardless = 1 - beard(own_lab, core, *lower)
        target_beardless = 1 - beard(target_lab, core, *lower)
        own_skin = skinness(own_lab, core * own_beardless) * own_beardless
        target_skin = skinness(target_lab, core * target_beardless) * target_beardless
        own = small.astype(np.float32)
        other = wanted.astype(np.float32)

        return cls(
            own=own,
            target=other,
            where=weight,
            features=features,
            own_skin=own_skin,
            target_skin=target_skin,
            own_beardless=own_beardless,
            target_beardless=target_beardless,
            own_colour=np.maximum(mean_colour(own, core * own_skin), 3),
            target_colour=np.maximum(mean_colour(other, core * target_skin), 3),
        )

    @property
    def both(self) -> Array:
        skin = self.own_skin * self.target_skin
        return np.asarray(self.where * (1 - self.features) * skin)

    @property
    def exposure(self) -> float:
        """How much lighter the target's skin is."""
        return float(self.target_colour @ LUMA) / float(self.own_colour @ LUMA)


def mean_colour(image: Array, weight: Array) -> Array:
    """Return the weighted mean over all pixels, float32 [channels]."""
    total = float(weight.sum()) + 1e-6
    columns = image.reshape(-1, image.shape[-1])
    return np.asarray(weight.reshape(-1) @ columns / total, np.float32)
