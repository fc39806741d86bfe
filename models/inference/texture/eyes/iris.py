"""The iris of a photo, cut out: lids and lights taken away, so that it can look anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, NO_MAP, RgbImage
from models.inference.finding.eyes.eye_axes import AROUND
from models.inference.finding.eyes.iris_network import Eye, EyePair
from models.inference.identity import SourceEyes

Array = NDArray[Any]

RADIUS_PX = 16.0  # of the cut-out: the iris of a portrait, twice as fine as it is ever drawn
SIDE = 43  # the cut-out reaches to 1.3 radii, past the soft edge it is drawn with
RINGS = 12  # per radius, of the radial profile
LID_MARGIN = 0.05  # of the eye's width: lashes and the lid's edge
GLINT_LEVELS = 22.0  # over the ring's colour: lights are brighter
# lids and lashes differ from the ring by more
STRANGE_LEVELS = 18.0
STRANGE_SHARE = 0.35
EDGE_FROM = 0.68  # of the radius: where the white begins is looked for from here on
RADIUS_RANGE = (0.9, 1.06)  # the network's circle is often too large, seldom too small
# makes up for sampling it, and for drawing it again
SHARPEN = 0.6
SHARPEN_PX = 2.3
PUPIL, PUPIL_DEPTH = 0.36, 0.4  # of the radius; blurred into the iris in most photos
ENOUGH = 0.45  # of the iris seen; of one hidden further the other eye shows more


def cut_out(image: RgbImage, eyes: EyePair) -> SourceEyes:
    """Return the irises of a photo; `eyes` are in its pixels."""
    discs, radii, seen = zip(*(_disc(image, eye) for eye in eyes), strict=True)
    chosen = list(discs)

    for side in (0, 1):
        if seen[side] < ENOUGH < seen[1 - side]:
            chosen[side] = discs[1 - side][:, ::-1]

    gaze = np.stack([eye.gaze for eye in eyes]).astype(np.float32)
    return SourceEyes(np.stack(chosen), float(np.mean(radii)), gaze)


def _disc(image: RgbImage, eye: Eye) -> tuple[NDArray[np.uint8], float, float]:
    """Return one iris's cut-out, its radius in eye widths, and which share of it was seen."""
    rough = _Rings.of(image, eye, eye.iris_radius)
    radius = eye.iris_radius * rough.edge()
    rings = _Rings.of(image, eye, radius)
    smooth = rings.smooth()
    seen = cv2.erode(rings.valid.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    soft = (cv2.GaussianBlur(seen, (0, 0), 0.7) * seen)[..., None]
    # What is hidden goes on as what is seen beside it differs from its ring.
    near = cv2.GaussianBlur(seen, (0, 0), 1.8)[..., None]
    carried = cv2.GaussianBlur((rings.pixels - smooth) * seen[..., None], (0, 0), 1.8)
    whole = smooth + carried / (near + 0.15) * (1 - seen[..., None])
    iris = rings.pixels * soft + whole * (1 - soft)
    iris += SHARPEN * (iris - cv2.GaussianBlur(iris, (0, 0), SHARPEN_PX))
    iris *= 1 - PUPIL_DEPTH / (1 + np.exp(np.clip((_FAR - PUPIL) / 0.05, -30, 30)))[..., None]
    light = np.clip((rings.pixels - smooth) @ LUMA - 8, 0, 255) * (rings.within & (_FAR < 0.95))
    light = cv2.GaussianBlur(light.astype(np.float32), (0, 0), 0.7)
    disc = np.dstack([iris, light])
    share = float(seen[_FAR < 1].mean())

    return np.clip(disc + 0.5, 0, 255).astype(np.uint8), radius / eye.axes.width, share


@dataclass
class _Rings:
    """An iris sampled on the cut-out's grid, and its colour by distance from the centre."""

    pixels: Array
    within: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    profile: Array

    @classmethod
    def of(cls, image: RgbImage, eye: Eye, radius: float) -> _Rings:
        axes = eye.axes
        # Upright in the eye's axes, and never mirrored.
        right = axes.linear[:, 0] / axes.width * (1 if eye.side == 0 else -1)
        down = axes.linear[:, 1] / axes.width
        where = eye.iris[0] + (_GRID * radius) @ np.stack([right, down])
        where = where.astype(np.float32)
        drawn = np.zeros(image.shape[:2], np.uint8)
        outline = np.rint(eye.lids[AROUND] * 16).astype(np.int32)
        cv2.fillPoly(drawn, [outline], 1, shift=4)
        margin = 2 * round(LID_MARGIN * axes.width) + 1
        inside = cv2.erode(drawn, np.ones((margin, margin), np.uint8))
        pixels = cv2.remap(image, where, NO_MAP, cv2.INTER_LINEAR).astype(np.float32)
        within = cv2.remap(inside, where, NO_MAP, cv2.INTER_NEAREST) > 0
        rings = cls(pixels, within, within, np.zeros((_RING.max() + 1, 3), np.float32))

        for _ in range(2):
            rings.profile = rings._profile()
            rings.valid = within & rings._is_iris()

        return rings

    def edge(self) -> float:
        """Return where brightness rises most steeply, as a share of the radius it was cut with."""
        luma = cv2.GaussianBlur((self.profile @ LUMA)[None], (0, 0), 1.0)[0]
        first = int(EDGE_FROM * RINGS)
        steepest = first + int(np.argmax(np.diff(luma)[first : RINGS + 3]))
        return float(np.clip((steepest + 0.5) / RINGS, *RADIUS_RANGE))

    def smooth(self) -> Array:
        """Return the iris as its rings alone make it."""
        ring = np.float32(RINGS) * _FAR
        return np.asarray(
            cv2.remap(self.profile[None], ring, 0 * ring, cv2.INTER_LINEAR, borderMode=_REPEAT)
        )

    def _profile(self) -> Array:
        """Return each ring's median colour; one that is hidden is like the ring inside it."""
        profile = np.zeros_like(self.profile)
        last = np.percentile(self.pixels[_RING <= 2], 30, axis=0)

        for ring in range(len(profile)):
            members = self.pixels[self.valid & (ring == _RING)]
            last = np.median(members, axis=0) if len(members) >= 4 else last
            profile[ring] = last

        return profile

    def _is_iris(self) -> NDArray[np.bool_]:
        base = self.smooth() @ LUMA
        change = self.pixels @ LUMA - base
        strange = np.abs(change) > np.maximum(STRANGE_LEVELS, STRANGE_SHARE * base)
        return np.asarray(~strange & (change < GLINT_LEVELS))


def _grid() -> Array:
    steps = (np.arange(SIDE) - SIDE // 2) / RADIUS_PX
    return np.dstack(np.meshgrid(steps, steps)).astype(np.float32)


_GRID = _grid()
_FAR = np.linalg.norm(_GRID, axis=-1).astype(np.float32)
_RING = np.rint(_FAR * RINGS).astype(np.intp)
_REPEAT = cv2.BORDER_REPLICATE
