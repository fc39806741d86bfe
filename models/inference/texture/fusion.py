"""Textures taken from photos, and one texture made of several photos of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask, RgbImage
from models.inference.texture.light.scene import mean_colour

FINE_PX = 3.0  # what is smaller than this is detail
FINE_TRUST = 50.0  # of the best photo over the others

Array = NDArray[Any]


@dataclass(frozen=True)
class Texture:
    """What one photo shows of a face: uint8 [224, 224, 3] RGB in canonical pixels, and how
    frontally it shows it.

    `weight` is float32 [224, 224]: the photo's area per canonical area, 0 where the surface is
    turned away.
    """

    pixels: RgbImage
    weight: Mask


def fuse(textures: Sequence[Texture]) -> RgbImage:
    """Return one texture of several photos of a person, each texel from the photos that show it
    most frontally.

    The photos' light is made alike first, so that no seams run where one photo takes over from
    another. Fine detail is never averaged, for that blurs it: it is the best photo's wherever that
    one shows the texel.
    """
    reference = max(textures, key=lambda texture: float(texture.weight.sum()))
    if len(textures) == 1:
        return reference.pixels

    weights = [cv2.GaussianBlur(texture.weight**4 + 1e-4, (0, 0), 4) for texture in textures]
    images = [_recoloured(texture, reference) for texture in textures]
    smooth = [cv2.GaussianBlur(image, (0, 0), FINE_PX) for image in images]
    fine = [image - soft for image, soft in zip(images, smooth, strict=True)]
    trusted = [
        w**2 * (FINE_TRUST if t is reference else 1) for t, w in zip(textures, weights, strict=True)
    ]
    mixed = _weighted_mean(smooth, weights) + _weighted_mean(fine, trusted)

    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def _weighted_mean(images: Sequence[Array], weights: Sequence[Array]) -> Array:
    total = np.sum(weights, axis=0)
    shares = [
        image * (weight / total)[..., None] for image, weight in zip(images, weights, strict=True)
    ]
    return np.asarray(np.sum(shares, axis=0))


def _recoloured(texture: Texture, reference: Texture) -> Array:
    seen = np.minimum(texture.weight, reference.weight)
    own = texture.pixels.astype(np.float32)
    wanted = reference.pixels.astype(np.float32)
    return np.asarray(own + (mean_colour(wanted, seen) - mean_colour(own, seen)))
