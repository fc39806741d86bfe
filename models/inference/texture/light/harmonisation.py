"""Fits a placed texture to its target: the target's light and skin colour, its sharpness and grain.

All images are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of each pixel that is the
identity's skin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.texture.eyes.living_eyes import LivingEye
from models.inference.texture.light.relighting import Light
from models.inference.texture.sharpness import Focus
from models.inference.texture.target_measures import TargetMeasures


@dataclass(frozen=True)
class Harmony:
    """How a texture is fitted: `colour_match` 0 keeps the photo's own light and colours, 1 takes
    the target's; `scale` is how many pixels of the crop one of the frame is; `measures` are what is
    known of the frames before, in videos.
    """

    colour_match: float = 1.0
    scale: float = 1.0
    measures: TargetMeasures = field(default_factory=TargetMeasures)


def harmonised(
    drawn: RgbImage,
    target: RgbImage,
    where: Mask,
    mesh: Landmarks,
    eyes: Sequence[LivingEye],
    harmony: Harmony,
) -> RgbImage:
    """Return the drawn texture in the target's light and as sharp as it.

    `eyes` are those drawn on it. They are drawn sharp, and get as soft as the rest; lids that are
    shut are the target's own, and already are. `harmony.measures` say whether light and focus are
    measured anew.
    """
    known = harmony.measures
    strength = harmony.colour_match
    lit = drawn
    if strength > 0:
        light = known.light.of(
            lambda: Light.of(drawn, target, where, mesh, strength), is_due=known.is_due
        )
        lit = light.on(drawn)

    focus = known.focus.last
    if known.is_due or focus is None:
        focus = known.focus.see(Focus.of(lit, target, where, harmony.scale), known.frames)

    face = focus.sharpened(lit)

    for eye in eyes:
        eye.light(face, target)

    face = focus.softened(face, target, where)
    for eye in eyes:
        eye.close(face, target)

    return face
