"""A texture's eyes without their irises: white, so that irises can be drawn anywhere on them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, RgbImage
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.identity import SourceEyes
from models.inference.texture.eyes.eye_window import EyeWindow, Lids

Array = NDArray[Any]

WHITE_FROM = 1.2  # radii from the iris's centre
WHITE_COUNT = 12  # pixels: fewer say nothing
BRIGHT_FROM = 40  # percentile: what is darker of the white lies in the shade or on lashes
PALE = 0.12  # chroma over brightness, as far as which a colour counts as white
MOST_CHROMA = 0.10  # over brightness: skin that shines into the white is taken out of it
# under the upper lid, a share, and of the eye's width
SHADOW = 0.45
SHADOW_WIDTH = 0.05
LASHES = 0.035  # of the eye's width: what a lid's edge and its lashes take of the opening
# Colours are carried over the iris from near by, or else from further off, or from anywhere.
CARRIED = ((0.05, 1.0), (0.2, 0.03), (0.5, 0.001))  # of the eye's width, and how strongly
TINY = 1e-3


def without_irises(texture: RgbImage, mesh: Landmarks, eyes: SourceEyes) -> RgbImage:
    """Return a canonical texture whose eyes are white where the irises were.

    `mesh` is the canonical mesh in the texture's pixels.
    """
    blank = texture.copy()
    for side, points in enumerate(LIDS):
        window = EyeWindow(Lids(mesh[list(points)], side), len(texture))
        far = np.linalg.norm(window.own - eyes.gaze[side], axis=-1) / eyes.radius
        patch = texture[window.box.slices].astype(np.float32)
        fill = _white(patch, window, far)

        if fill is None:
            continue

        # The lids' edges stay: what lies on them is lashes.
        within = np.clip(window.depth() / (LASHES * window.lids.axes.width) - 0.5, 0, 1)
        hidden = np.clip((WHITE_FROM + 0.02 - far) / 0.12, 0, 1)
        white = _paled(patch + (fill - patch) * hidden[..., None])
        blank[window.box.slices] = patch + (white - patch) * within[..., None] + 0.5

    return blank


def _white(patch: Array, window: EyeWindow, far: Array) -> Array | None:
    """Return the white of an eye carried over its window, None where nothing of it is seen."""
    opening = window.lids.opening(window.box)
    luma = patch @ LUMA
    seen = (opening > 0.9) & (far > WHITE_FROM)

    if seen.sum() < WHITE_COUNT:
        seen = (opening > 0.5) & (far > 1)
    if not seen.any():
        return None

    chroma = np.linalg.norm(patch - luma[..., None], axis=-1) / (luma + 20)
    bright = seen & (luma >= np.percentile(luma[seen], BRIGHT_FROM))
    weight = (bright * np.exp(-((chroma / PALE) ** 2)) + TINY * seen).astype(np.float32)
    total = np.zeros_like(weight)
    colour = np.zeros_like(patch)

    for sigma, share in CARRIED:
        sigma *= window.lids.axes.width
        total += share * cv2.GaussianBlur(weight, (0, 0), sigma)
        colour += share * cv2.GaussianBlur(patch * weight[..., None], (0, 0), sigma)

    shade = 1 - SHADOW * window.under_lid(SHADOW_WIDTH)
    return np.asarray(colour / (total + 1e-9)[..., None] * shade[..., None])


def _paled(white: Array) -> Array:
    luma = (white @ LUMA)[..., None]
    hue = white - luma
    chroma = np.linalg.norm(hue, axis=-1)[..., None] + TINY
    return np.asarray(luma + hue * np.minimum(1, MOST_CHROMA * (luma + 20) / chroma))
