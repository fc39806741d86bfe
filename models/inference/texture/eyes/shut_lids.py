"""A shut eye: the target's lashes and creases on lids of the placed face's own colour.

Lids have hardly an identity, but they have the colour of the face around them: the target's own,
made lighter or darker by a gain, keep the hue of the target's light and look painted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, NO_MAP, RgbImage
from models.inference.texture.eyes.eye_window import EyeWindow, Lids

Array = NDArray[Any]

LID_ELLIPSE = (0.72, 0.42)  # of the eye's width: lids and what moves with them
# Log levels of lashes and creases beside the lid, and of either face's lid beside the skin around:
# a lid in the shade next to a lit cheek is not a hole.
LASH_RANGE = (-1.2, 0.25)
SOCKET_RANGE = (-0.12, 0.05)
LASH_LINE = 0.4  # how much darker the line of lashes is than the lid, in log levels,
LASH_LINE_WIDTH = 0.05  # and half its width, of the eye's
LASH_PX = 0.9  # of the frame
LASH_SHARPEN = 1.2
LID_SIGMA = 0.12  # of the eye's width: what is wider than lashes and creases has the face's colours
SKIN_LEVEL = 60  # percentile of the ring's levels that is skin, brows or not
DARK = (0.72, 0.88)  # of that level: below it is no skin, above all of it is
COLOUR_SIGMA = 0.35  # of the eye's width: how smoothly colours around a shut eye are compared
TINY = 1e-3
FLOOR = 6.0  # levels: keeps logarithms of the dark apart from noise


@dataclass(frozen=True)
class ShutLids:
    """The window of an eye whose placed lids are nearly shut, and the target's as `seen` there.

    `seen` is float32 [h, w, 3] RGB levels, the target's shut eye laid onto the window.
    """

    window: EyeWindow
    seen: Array

    def draw(self, eye: Array, shut: float) -> None:
        """Mix shut lids into the window's pixels `eye`, float32 [h, w, 3], by 0..1, in place."""
        place = self.window.own
        far = cv2.magnitude(place[..., 0] / LID_ELLIPSE[0], place[..., 1] / LID_ELLIPSE[1])
        soft = np.clip((1.15 - far) / 0.45, 0, 1)
        around = soft * soft * (3 - 2 * soft) * shut
        eye += (self._lids(eye, far) - eye) * around[..., None]

    def _lids(self, eye: Array, far: Array) -> Array:
        """Return the target's shut lids in the placed face's colours.

        The hue is that of the skin around the placed eye. In a deep socket lids are darker than the
        cheek; how much is bounded, for of a dark eye its lashes are left in what was moved down.
        """
        width = self.window.lids.axes.width
        levels = [cv2.log(image @ LUMA + FLOOR) for image in (eye, self.seen)]
        # Of the ring around the lids skin alone says which colours the face has: a brow in it
        # would make the lids as dark.
        ring = np.clip((far - 0.75) / 0.25, 0, 1) * np.clip((1.4 - far) / 0.3, 0, 1)
        ring = ring * _bright(eye, ring) * _bright(self.seen, ring)
        sigma = COLOUR_SIGMA * width
        weight = cv2.GaussianBlur(ring, (0, 0), sigma)[..., None] + TINY
        skin = np.dstack([cv2.log(eye + FLOOR), *levels]) * ring[..., None]
        skin = cv2.GaussianBlur(skin, (0, 0), sigma) / weight
        wide = cv2.GaussianBlur(np.dstack(levels), (0, 0), LID_SIGMA * width)
        change = np.clip(levels[1] - wide[..., 1], *LASH_RANGE)

        for deep in cv2.split(wide - skin[..., 3:]):
            change += np.clip(deep, *SOCKET_RANGE)

        # Where lids meet there are lashes, which a soft target hardly shows.
        apart = np.minimum(self.window.depth(), 0) / (LASH_LINE_WIDTH * width)
        change -= LASH_LINE * np.exp(-apart * apart) * (far < 1)

        return np.asarray(cv2.exp(skin[..., :3] + change[..., None]) - FLOOR)


def sharpened(window: EyeWindow, target: RgbImage, lids: Lids, pixel: float) -> Array:
    """Return the target's eye with these lids laid onto a window, its lashes sharpened.

    `pixel` is how many pixels of the crop one of the frame is.
    """
    at = window.in_eye(lids)
    seen = cv2.remap(target, at, NO_MAP, cv2.INTER_LINEAR).astype(np.float32)
    fine = seen - cv2.GaussianBlur(seen, (0, 0), max(0.8, LASH_PX * pixel))
    return np.clip(seen + LASH_SHARPEN * fine, 0, 255)


def _bright(eye: Array, ring: Array) -> Array:
    """Return 1 where a window is as bright as most of its ring, 0 on brows, lashes and shade."""
    levels = eye @ LUMA
    inside = levels[ring > 0.5]
    if not len(inside):
        return np.ones_like(levels)

    usual = float(np.percentile(inside, SKIN_LEVEL)) + FLOOR
    return np.asarray(np.clip((levels / usual - DARK[0]) / (DARK[1] - DARK[0]), 0, 1))
