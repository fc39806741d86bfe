"""The teacher: a swap that is computed, not learnt (docs/method.md 9): a texture placed, and
composited by the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.inference.arrays import Landmarks, RgbImage
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.placed import Placed


@dataclass(frozen=True)
class Source:
    """An identity as the teacher takes it: a canonical texture and the proportions of a face (a
    swap-crop mesh).
    """

    texture: RgbImage
    mesh: Landmarks


def composite(placed: Placed, target: RgbImage) -> RgbImage:
    """Return the teacher's swap, uint8 like the target: the placed texture where the mask says
    so.
    """
    mask = placed.mask[..., None]
    # Half a level more, since the cast cuts off.
    return np.asarray(target + (placed.texture.astype(np.float32) - target) * mask + 0.5, np.uint8)


def teach(
    canonical: CanonicalFace, source: Source, target: RgbImage, mesh: Landmarks
) -> tuple[RgbImage, Placed]:
    """Return the swap of a 224 px target crop and the placed texture it was made of."""
    placed = canonical.place(source.texture, source.mesh, target, mesh)
    return composite(placed, target), placed


def morph(first: Source, second: Source, share: float) -> Source:
    """Return a person between two: textures and proportions mixed, `share` of the second."""
    # Textures and proportions alike, or one person's eyes would lie on the other's cheeks.
    texture = first.texture + (second.texture.astype(np.float32) - first.texture) * np.float32(
        share
    )
    mesh = first.mesh + (second.mesh - first.mesh) * np.float32(share)
    return Source(np.asarray(texture + 0.5, np.uint8), np.asarray(mesh, np.float32))
