"""A texture's own light made even: what a photo lit from one side leaves on a face is not the face.

Faces are alike on both sides, photographs are not. The low frequencies of a texture and of its
mirror image differ by the photo's light, which would stand against the light of every target.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.inference.arrays import Landmarks, Mask, RgbImage
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
TINY = 1e-2
FLOOR = 8.0  # levels: keeps logarithms of the dark apart from noise


def evenly_lit(texture: RgbImage, face: Mask, mesh: Landmarks) -> RgbImage:
    """Return a canonical texture whose two sides are equally bright and of one hue.

    `texture` is uint8 [224, 224, 3] RGB, symmetric about its middle column; `face` float32
    [224, 224] in 0..1 says where it is a face's, `mesh` [468, 2] is the canonical one in its
    pixels. Eyes, brows and lips say nothing of the light: one brow may be raised.
    """
    features = cv2.resize(features_on_grid(mesh), face.shape[::-1], interpolation=cv2.INTER_LINEAR)
    skin = face * np.clip(1 - features, 0, 1)
    weight = skin * skin[:, ::-1]
    levels = cv2.log(texture.astype(np.float32) + FLOOR)
    apart = (levels - levels[:, ::-1]) * weight[..., None]
    total = cv2.GaussianBlur(weight, (0, 0), SIGMA)[..., None] + TINY
    uneven = cv2.GaussianBlur(apart, (0, 0), SIGMA) / total
    excess = np.sign(uneven) * np.maximum(np.abs(uneven) - EVEN, 0)
    gain = np.exp(np.clip(-SHARE * excess, -MOST, MOST))

    return np.asarray(np.clip((texture + FLOOR) * gain - FLOOR + 0.5, 0, 255), np.uint8)
