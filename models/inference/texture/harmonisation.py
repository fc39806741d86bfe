"""Fits a placed texture to its target: the target's light and skin colour, its sharpness and grain.

All images are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of each pixel that is the
identity's skin.
"""

from __future__ import annotations

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.texture.relighting import relit
from models.inference.texture.sharpness import as_sharp


def harmonised(
    drawn: RgbImage, target: RgbImage, where: Mask, mesh: Landmarks, strength: float = 1.0
) -> RgbImage:
    """Return the drawn texture in the target's light (by `strength` 0..1) and as sharp as it."""
    return as_sharp(relit(drawn, target, where, mesh, strength), target, where)
