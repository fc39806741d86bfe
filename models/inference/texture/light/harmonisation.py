"""Fits a placed texture to its target: the target's light and skin colour, its sharpness and grain.

All images are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of each pixel that is the
identity's skin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.texture.eyes.living_eyes import LivingEye
from models.inference.texture.light.relighting import relit
from models.inference.texture.sharpness import Focus, SteadyFocus


@dataclass(frozen=True)
class Harmony:
    """How a texture is fitted: `colour_match` 0 keeps the photo's own light and colours, 1 takes
    the target's; `scale` is how many pixels of the crop one of the frame is; `focus` is that of the
    frames before, in videos.
    """

    colour_match: float = 1.0
    scale: float = 1.0
    focus: SteadyFocus | None = None


def harmonised(
    drawn: RgbImage,
    target: RgbImage,
    where: Mask,
    mesh: Landmarks,
    eyes: Sequence[LivingEye] = (),
    harmony: Harmony | None = None,
) -> RgbImage:
    """Return the drawn texture in the target's light and as sharp as it.

    `eyes` are those drawn on it. They are drawn sharp, and get as soft as the rest; lids that are
    shut are the target's own, and already are.
    """
    harmony = harmony or Harmony()
    lit = relit(drawn, target, where, mesh, harmony.colour_match)
    focus = Focus.of(lit, target, where, harmony.scale)
    focus = focus if harmony.focus is None else harmony.focus.see(focus)
    face = focus.sharpened(lit)

    for eye in eyes:
        eye.light(face, target)

    face = focus.softened(face, target, where)
    for eye in eyes:
        eye.close(face, target)

    return face
