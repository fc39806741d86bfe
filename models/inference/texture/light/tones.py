"""How deep a face's tones and hues are to be on a target: one curve and one colour matrix."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, luma
from models.inference.texture.light.scene import FLOOR, Scene, mean_colour

# The tone curve, in log levels about the skin's own: sheen adds to skin and does not scale with
# it; brows, lashes and nostrils stay black on any skin. Powers of the exposure, and their bounds.
SHEEN_FROM = 0.06
SHADOW_FROM = -0.35
SHEEN_POWER = -1.5
SHEEN_RANGE = (0.3, 1.4)
SHADOW_POWER = 0.3
SHADOW_RANGE = (0.8, 1.8)
# In a softer light than the photo's the dark of brows and lines is not as deep: share of it.
SOFTER_RANGE = (0.9, 1.0)
TONE_RANGE = (-1.2, 0.5)
COLOUR_RANGE = (0.0, 1.15)  # of the spread of hues: a grey target takes the red out of lips, too
# Exposure from which on, and at which wholly, sheen is kept from the hue of lighter skin.
LIGHTER_FROM = 1.05
LIGHTER_FULL = 1.25
LEAST_HUE = 0.02  # how far skin is from white, squared: less is the noise of a grey photograph

Array = NDArray[Any]


def tone_curve(scene: Scene) -> Array:
    """Return the factor for each of 256 levels of luma, float32 [256]."""
    level = float(scene.own_colour @ LUMA)
    apart = np.log((np.arange(256) + 2.0) / (level + 2.0))
    sheen = float(np.clip(scene.exposure**SHEEN_POWER, *SHEEN_RANGE)) - 1
    shadow = float(np.clip(scene.exposure**SHADOW_POWER, *SHADOW_RANGE)) * _softness(scene) - 1
    change = np.where(apart > SHEEN_FROM, (apart - SHEEN_FROM) * sheen, 0)
    change += np.where(apart < SHADOW_FROM, (apart - SHADOW_FROM) * shadow, 0)

    return np.asarray(np.exp(np.clip(change, *TONE_RANGE)), np.float32)


def _softness(scene: Scene) -> float:
    """Return how deep the target's tones are against the face's own, at most 1."""

    def depth(image: Array, colour: Array) -> float:
        apart = cv2.log(luma(image) + FLOOR) - np.log(float(colour @ LUMA) + FLOOR)
        dark = np.minimum(apart, 0)
        return float(np.sqrt((dark * dark * scene.where).sum() / (scene.where.sum() + 1e-6)))

    own = depth(scene.own, scene.own_colour)
    wanted = depth(scene.target, scene.target_colour)
    return float(np.clip(wanted / max(own, 1e-3), *SOFTER_RANGE))


def colour_matrix(scene: Scene, share: float) -> Array:
    """Return the float32 [3, 3] that leaves a share of how far hues differ from the skin's, and
    keeps sheen of the light's colour on skin of another.
    """
    to_skin = np.outer(scene.own_colour / float(scene.own_colour @ LUMA), LUMA)
    hues = share * np.eye(3) + (1 - share) * to_skin
    return np.asarray(hues @ _sheen_matrix(scene), np.float32)


def _sheen_matrix(scene: Scene) -> Array:
    """Return the float64 [3, 3] that takes out of sheen what the gain to the target's skin would
    add to its hue.

    Sheen lies on skin and has the light's colour, whatever the skin's: multiplied by what makes
    brown skin pale it turns blue. A colour's share of white is what it has beside the skin's hue;
    its luma stays, which is the tone curve's to change.
    """
    share = float(np.clip((scene.exposure - LIGHTER_FROM) / (LIGHTER_FULL - LIGHTER_FROM), 0, 1))
    # Pale skin is too near to white for its sheen to be told by hue, and dark skin needs none.
    if share == 0:
        return np.eye(3)

    gain = scene.target_colour / scene.own_colour
    skin = scene.own_colour / float(scene.own_colour @ LUMA)
    white = np.ones(3)
    basis = np.stack([skin, white, np.cross(skin, white)], axis=1)

    # Of grey skin, sheen has the same hue.
    if abs(float(np.linalg.det(basis))) < LEAST_HUE:
        return np.eye(3)

    share_of_white = np.linalg.inv(basis)[1]
    excess = white - 1 / gain
    # With as much skin put in its place as keeps the luma after the gain.
    excess = excess - skin * float(LUMA @ (gain * excess)) / float(LUMA @ (gain * skin))

    return np.asarray(np.eye(3) - share * np.outer(excess, share_of_white))


def hue_share(scene: Scene) -> float:
    """Return how much of its hues the face keeps: 0 on a grey target.

    A white beard on one of both says nothing of the light's.
    """
    own = _hue_spread(scene.own, scene.own_colour, scene.where * scene.own_beardless)
    wanted = _hue_spread(scene.target, scene.target_colour, scene.where * scene.target_beardless)
    return float(np.clip(wanted / (own * scene.exposure), *COLOUR_RANGE))


def _hue_spread(image: Array, colour: Array, where: Array) -> float:
    """Return how far colours differ from the skin's at equal luma, in levels."""
    skin = colour / float(colour @ LUMA)
    apart = image - luma(image)[..., None] * skin
    power = float(mean_colour(apart * apart, where).sum())
    return float(np.sqrt(power + FLOOR))
