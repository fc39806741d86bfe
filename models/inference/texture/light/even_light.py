"""A texture's own light made even: what a photo lit from one side leaves on a face is not the face.

Faces are alike on both sides, photographs are not. The low frequencies of a texture and of its
mirror image differ by the photo's light, which would stand against the light of every target.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, RgbImage, luma
from models.inference.texture.light.skin import features_on_grid

# Of 224 px: smaller, and a scar, a parting or a glance would be evened out as well; larger, and the
# shadow of a nose stays.
SIGMA = 12.0
# Each side goes half the way to be even; less, because a face is known by its shadows, too (of 126
# evaluation pairs one more is missed at .5).
SHARE = 0.35
MOST = 0.9  # log gain: a side that is darker than that has no colours to be brought back
# Log difference between both sides: a face is never quite even, and up to here it looks round.
EVEN = 0.35
# Log luma by which a side is darker than the other. Where it is a third as light, no relighting
# brings back what lies there; the shadow reaches as far as the side is darker at all, and is wholly
# the other side's mirror image from half as light on. Where a shadow is nowhere as deep, people are
# recognised better by what is seen in it.
SHADOW_SURE = 1.1
SHADOW_FROM = 0.4
SHADOW_WHOLE = 0.69
SHADOW_REACH_PX = 21  # half of it beyond: over an eye, whose own darkness says nothing
SHADOW_SEAM = 6.0  # px of 224
TINY = 1e-2
FLOOR = 8.0  # levels: keeps logarithms of the dark apart from noise

Array = NDArray[Any]


def evenly_lit(texture: RgbImage, face: Mask, mesh: Landmarks) -> RgbImage:
    """Return a canonical texture whose two sides are equally bright and of one hue.

    `texture` is uint8 [224, 224, 3] RGB, symmetric about its middle column; `face` float32
    [224, 224] in 0..1 says where it is a face's, `mesh` [468, 2] is the canonical one in its
    pixels. Eyes, brows and lips say nothing of the light: one brow may be raised.
    """
    weight = _seen_on_both_sides(face, mesh)
    levels = cv2.log(texture.astype(np.float32) + FLOOR)
    uneven = _uneven(levels, weight)
    excess = np.sign(uneven) * np.maximum(np.abs(uneven) - EVEN, 0)
    gain = np.exp(np.clip(-SHARE * excess, -MOST, MOST))

    return np.asarray(np.clip((texture + FLOOR) * gain - FLOOR + 0.5, 0, 255), np.uint8)


def out_of_shadow(texture: RgbImage, face: Mask, mesh: Landmarks) -> RgbImage:
    """Return a canonical texture in which a side that lies in deep shadow is the lit one's mirror
    image; the arguments are those of `evenly_lit`.
    """
    levels = cv2.log(luma(texture.astype(np.float32)) + FLOOR)[..., None]
    darker = -_uneven(levels, _seen_on_both_sides(face, mesh))[..., 0]
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SHADOW_REACH_PX, SHADOW_REACH_PX))
    # The shadow of a nose is narrow, and belongs to its shape.
    deep = cv2.morphologyEx(darker, cv2.MORPH_OPEN, reach)
    share = np.clip((deep - SHADOW_FROM) / (SHADOW_WHOLE - SHADOW_FROM), 0, 1)
    _, parts = cv2.connectedComponents((deep > SHADOW_FROM).astype(np.uint8))
    names = np.unique(parts[deep > SHADOW_SURE])
    side = np.asarray(share * np.isin(parts, names[names > 0]), np.float32)
    within = cv2.dilate(side, reach)
    soft = cv2.GaussianBlur(within, (0, 0), SHADOW_SEAM)[..., None]
    lit = texture[:, ::-1].astype(np.float32)

    return np.asarray(texture + (lit - texture) * soft + 0.5, np.uint8)


def _seen_on_both_sides(face: Mask, mesh: Landmarks) -> Mask:
    """Return where skin is compared with that of the other side, float32 [224, 224] in 0..1."""
    features = cv2.resize(features_on_grid(mesh), face.shape[::-1], interpolation=cv2.INTER_LINEAR)
    skin = face * np.clip(1 - features, 0, 1)
    return np.asarray(skin * skin[:, ::-1], np.float32)


def _uneven(levels: Array, weight: Mask) -> Array:
    """Return by how much a smooth part of log levels [224, 224, k] is above the other side's."""
    apart = (levels - levels[:, ::-1]) * weight[..., None]
    total = cv2.GaussianBlur(weight, (0, 0), SIGMA)[..., None] + TINY
    smooth = cv2.GaussianBlur(apart, (0, 0), SIGMA).reshape(levels.shape)
    return np.asarray(smooth / total)
