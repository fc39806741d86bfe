"""Puts a face into the target's light: as a ratio, learned from skin alone, that fades no edge.

Light multiplies: a gain that is right for a cheek is right for the lips beside it, while a sum
would take their colour out. Multiplying gamma-coded pixels is the same as multiplying linear light,
so nothing is converted. Eyes, brows, lips, hair and beards have colours of their own and say
nothing about the light. All gains are smooth and found on a 56 px grid; only the tone curve and the
colour matrix run over every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, Mask, RgbImage, luma
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.mesh_points import EYES
from models.inference.native.kernels import kernels
from models.inference.texture.light.scene import FLOOR, Scene, mean_colour
from models.inference.texture.light.skin import hulls_on_grid
from models.inference.texture.light.tones import colour_matrix, hue_share, tone_curve

# Of the grid, 21 px of the crop: finer differences are the face's own. Less brings the target's
# features along with its light (cosine to the target .248 at 3.5, .246 at 4.5, .236 at 7).
LIGHT_SIGMA = 5.2
LIGHT_RANGE = 0.5  # log gain beside the mean one: more is an occluder, or a blown highlight
SURE_NEARBY = 0.1  # share of skin around a cell from which on its light is believed
# Where skin gets lighter, its own contrast of 4 to 20 px is cut to this much of the target's: the
# sheen of dark skin is not light skin's.
MOST_CONTRAST = 1.2
# exposure
CONTRAST_FROM = 1.05
CONTRAST_FULL = 1.25
# The membrane: at the rim skin meets skin, and the difference fades inwards. At full strength it
# takes too much of the face's own shape.
RIM_SHARE = 0.4
RIM_FADE = 2.0  # of the grid: 8 px of the crop
RIM_RANGE = 0.6
RIM_NEAR, RIM_FAR = 1.75, 4.5  # blurs along the rim; the far one where little skin is near
WHITES_FROM = 1.1  # exposure: dark skin made light would turn the whites of the eyes blue
WHITES_RANGE = 0.25
GREY_SHARE = 0.5  # of the hues: on a greyer target the whites would keep the skin's

Array = NDArray[Any]


def relit(
    drawn: RgbImage, target: RgbImage, where: Mask, mesh: Landmarks, strength: float = 1.0
) -> RgbImage:
    """Return a face in the target's light and skin colour.

    Args:
        drawn, target: swap crops, uint8 RGB [224, 224, 3].
        where: float32 [224, 224] in 0..1: the share of a pixel that is the face's.
        mesh: float32 [468, 2], the target's, in the crop's pixels.
        strength: 0 leaves the face as it is, 1 is the target's light.
    """
    if strength <= 0:
        return drawn
    return Light.of(drawn, target, where, mesh, strength).on(drawn)


@dataclass(frozen=True)
class Light:
    """What brings a face into its target's light: a colour matrix float32 [3, 3], a factor for each
    of 256 levels of luma, and a gain float32 [GRID, GRID, 3].
    """

    colours: Array
    tones: Array
    gain: Array

    @classmethod
    def of(
        cls, drawn: RgbImage, target: RgbImage, where: Mask, mesh: Landmarks, strength: float
    ) -> Light:
        """Measure both faces; the arguments are those of `relit`, `strength` over 0."""
        scene = Scene.of(drawn, target, where, mesh)
        hues = hue_share(scene)
        colours = colour_matrix(scene, 1 + strength * (hues - 1))
        tones = tone_curve(scene) ** np.float32(strength)
        level = luma(scene.own).astype(np.uint8)
        toned = np.maximum(cv2.transform(scene.own, colours), 0) * tones[level][..., None]
        gain = light_gain(scene, toned, mesh, hues) * strength

        return cls(colours, tones, np.exp(gain).astype(np.float32))

    def on(self, drawn: RgbImage) -> RgbImage:
        """Return a face in this light, in one pass over its pixels."""
        colours = self.colours
        # A matrix that takes hues out can lift a channel past 255: it is scaled down, the gain up.
        headroom = max(1.0, float(colours.sum(axis=1).max()))
        native = kernels()
        if native is not None:
            return native.lit(drawn, self.gain, self.tones, colours, most=255 * headroom)

        size = (TEMPLATE_SIZE, TEMPLATE_SIZE)
        factor = cv2.resize(self.gain * headroom, size, interpolation=cv2.INTER_LINEAR)
        tone = cv2.LUT(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), self.tones)
        factor = cv2.multiply(factor, cv2.merge([tone, tone, tone]))

        return np.asarray(
            cv2.multiply(cv2.transform(drawn, colours / headroom), factor, dtype=cv2.CV_8U)
        )


def light_gain(scene: Scene, toned: Array, mesh: Landmarks, share: float) -> Array:
    """Return the log gain that is left after tone and hue, float32 [GRID, GRID, 3]."""
    missing = cv2.log((scene.target + FLOOR) / (toned + FLOOR))
    both = scene.both
    mean = np.log((mean_colour(scene.target, both) + FLOOR) / (mean_colour(toned, both) + FLOOR))
    low, nearby = _spread(missing - mean, both, LIGHT_SIGMA)
    believed = np.clip(nearby / SURE_NEARBY, 0, 1)
    gain = mean + np.clip(low, -LIGHT_RANGE, LIGHT_RANGE) * believed

    if scene.exposure > CONTRAST_FROM:
        gain = gain + _less_contrast(scene, toned)[..., None]

    gain = gain + _membrane(scene, missing - gain)
    if scene.exposure > WHITES_FROM or share < GREY_SHARE:
        gain = _whites_lit(scene, toned, gain, mesh, share)

    return np.asarray(gain, np.float32)


def _less_contrast(scene: Scene, toned: Array) -> Array:
    """Return the log gain that takes contrast off skin which gets lighter than it was."""
    both = scene.both
    total = cv2.GaussianBlur(both, (0, 0), LIGHT_SIGMA) + 1e-3

    def contrast(image: Array) -> Array:
        level = cv2.log(luma(image) + FLOOR)
        return np.asarray(level - cv2.GaussianBlur(level * both, (0, 0), LIGHT_SIGMA) / total)

    def power(image: Array) -> float:
        return float(np.sqrt((image * image * both).sum() / (both.sum() + 1e-6)))

    own = contrast(toned)
    wanted = power(contrast(scene.target))
    cut = float(np.clip(MOST_CONTRAST * wanted / (power(own) + 1e-4), 0.4, 1)) - 1
    share = (scene.exposure - CONTRAST_FROM) / (CONTRAST_FULL - CONTRAST_FROM)
    soft = cv2.GaussianBlur(both, (0, 0), 0.7)

    return np.asarray(min(share, 1.0) * cut * np.clip(own, -0.3, 0.5) * soft)


def _membrane(scene: Scene, missing: Array) -> Array:
    """Return the log gain that makes skin meet skin at the mask's rim, fading inwards."""
    edge = np.minimum(4 * scene.where * (1 - scene.where), 1) * (scene.where > 0.03)
    ring = edge * scene.target_skin * scene.own_skin * (1 - scene.features)
    near, near_weight = _spread(missing, ring, RIM_NEAR)
    far, far_weight = _spread(missing, ring, RIM_FAR)
    by_near = np.clip(near_weight / 0.05, 0, 1)
    by_far = (1 - by_near) * np.clip(far_weight / 0.02, 0, 1)
    depth = cv2.distanceTransform((scene.where > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    fade = np.exp(-depth / RIM_FADE)[..., None] * RIM_SHARE
    change = near * by_near + far * by_far

    return np.asarray(np.clip(change, -RIM_RANGE, RIM_RANGE) * fade)


def _whites_lit(scene: Scene, toned: Array, gain: Array, mesh: Landmarks, share: float) -> Array:
    """Return the gain with the whites of the eyes taking the hue of the target's whites.

    What of the skin's hue the colour matrix has put into them goes out with it.
    """
    eyes = cv2.GaussianBlur(hulls_on_grid(mesh, EYES, grow=1), (0, 0), 0.7)
    cells = eyes > 0.5

    if cells.sum() <= 8:
        return gain

    hue = np.log((_white(scene.target[cells]) + FLOOR) / (_white(toned[cells]) + FLOOR))
    hue = hue - float(hue @ LUMA)
    of_skin = mean_colour(gain, scene.both)
    of_skin = (of_skin - float(of_skin @ LUMA)) * max(0.0, 1 - share)
    hue = of_skin + np.clip(hue - of_skin, -WHITES_RANGE, WHITES_RANGE)
    weight = eyes[..., None]

    return np.asarray(gain * (1 - weight) + (luma(gain)[..., None] + hue) * weight)


def _white(colours: Array) -> Array:
    """Return the colour of the lightest of some pixels [n, 3]."""
    weight = (colours @ LUMA) ** 4 + 1
    return np.asarray((colours * weight[:, None]).sum(0) / weight.sum())


def _spread(values: Array, weight: Array, sigma: float) -> tuple[Array, Array]:
    """Return values [GRID, GRID, 3] blurred by their weight, and how much weight was near."""
    # Three planes merged: numpy multiplies three values at a time several times slower.
    weighted = cv2.multiply(np.asarray(values, np.float32), cv2.merge([weight, weight, weight]))
    low = cv2.GaussianBlur(weighted, (0, 0), sigma)
    near = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32)
    total = near + np.float32(1e-3)

    return np.asarray(cv2.divide(low, cv2.merge([total, total, total]))), near[..., None]
