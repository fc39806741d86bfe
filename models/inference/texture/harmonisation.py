"""Fits a placed texture to its target: the target's light and skin colour, its sharpness and grain.

All images are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of each pixel that is the
identity's skin.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.texture.living_eyes import LivingEye
from models.inference.texture.relighting import relit
from models.inference.texture.sharpness import as_sharp


def harmonised(
    drawn: RgbImage,
    target: RgbImage,
    where: Mask,
    mesh: Landmarks,
    *,
    eyes: Sequence[LivingEye] = (),
    strength: float = 1.0,
    scale: float = 1.0,
) -> RgbImage:
    """Return the drawn texture in the target's light (by `strength` 0..1) and as sharp as it.

    `eyes` are those drawn on it, which take the target's light before they are made as sharp;
    `scale` is how many pixels of the crop one of the frame is.
    """
    lit = relit(drawn, target, where, mesh, strength)
    for eye in eyes:
        eye.finish(lit, target)

    return as_sharp(lit, target, where, scale)
