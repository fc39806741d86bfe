"""Eyes that look where the target looks and shut when it shuts them, with the source's irises.

The placed texture brings the source's lids and, without its iris, the white of the eye. Lids are
moved as far as the target's are, the iris is drawn where the target's stands; once the face is in
the target's light, the eye takes the target's brightness and catch light, and a shut eye is the
target's own in the placed face's colours: lids have hardly an identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, NO_MAP, Landmarks, RgbImage, percentile
from models.inference.finding.eyes.eye_axes import LOWER, UPPER
from models.inference.finding.eyes.eye_motion import MovingEye, MovingEyes
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.identity import SourceEyes
from models.inference.texture.eyes.drawn_iris import DrawnIris
from models.inference.texture.eyes.eye_window import EyeWindow, Lids
from models.inference.texture.eyes.shut_lids import ShutLids, sharpened

Array = NDArray[Any]

LEAST_PX = 4  # of the crop: of an eye at its edge less is not drawn
# How far lids are drawn open, by how far they are read: small openings are read as too large, shut
# eyes of real videos as .45 to .62 of the usual one, none that is open below .66.
READ_OPEN = (0.6, 0.75, 1.0, 1.2)
DRAWN_OPEN = (0.05, 0.5, 1.0, 1.25)
# A source who squints in the photo does not do so all the time: the opening at rest, in widths of
# the eye, and how many times wider than in the photo it may get.
LEAST_OPENING = 0.2
MOST_WIDENED = 1.35
LOWER_LID = 0.18  # of the closing gap is the lower lid's; the upper one comes down the rest
UNMOVED = 0.02  # of the opening: less is not seen
# A drawn iris is read as looking less far aside than it does, the more so the smaller the eyes are
# in the frame: this many times further, by the eye's width in pixels.
GAZE_GAIN = 1.15
GAZE_GAIN_SMALL = 2.0
GAZE_PX = 31.0
GAZE_PX_SMALL = 13.0
FAR_ASIDE = 0.26  # of the eye's width: further, half of the iris would be behind the corner
OWN_WHITE = 70  # percentile of the placed white's levels, beside the mean of the target's bright
WHITE_COUNT = 12  # pixels: fewer say nothing
WHITE_SHARE = 0.85  # of the difference to the target's white is taken over
LIGHT_RANGE = (0.6, 1.6)  # of the iris,
IRIS_LIGHT_SHARE = 0.5  # whose brightness is the source's own by half
LIGHT_PX = 18.0  # the eye's width in the frame: a smaller one shows no catch light of its own
# of the person's opening: where the target's lids come in
SHUT_FROM = 0.76
SHUT_AT = 0.63


@dataclass(frozen=True)
class FaceEyes:
    """The eyes of one frame: the target's as they move, in crop pixels, and the source's irises."""

    moving: MovingEyes
    source: SourceEyes

    def at_rest(self, mesh: Landmarks) -> Landmarks:
        """Return the target's mesh with the lids that the iris network sees on it, open."""
        rested = mesh.copy()
        for eye, lids in zip(self.moving, LIDS, strict=True):
            rested[list(lids)] = eye.rest
        return rested


@dataclass(frozen=True)
class LivingEye:
    """One eye of one frame; all positions in pixels of the swap crop.

    `rest` are the source's lids on the target at rest, `moving` is the target's eye. `disc` is the
    source's iris, which `iris_axes` [2, 2] take to the crop: crop = disc radii @ axes + centre.
    `vergence` is how far the source's irises stand towards the nose while they look ahead.
    """

    rest: Lids
    moving: MovingEye
    disc: NDArray[np.uint8]
    iris_axes: Array
    vergence: float
    size: int

    def draw(self, drawn: RgbImage, texture: RgbImage, where: Array) -> None:
        """Move the lids of the placed texture and draw the iris between them, in place.

        `where` is float32 [size, size, 2], the texture's pixel that each pixel shows.
        """
        if not self._is_in_crop:
            return
        if abs(self._opened - 1) > UNMOVED:
            at_rest = self.window.in_eye(self.rest)
            moved = cv2.remap(where, at_rest, NO_MAP, cv2.INTER_LINEAR)
            lids = cv2.remap(texture, moved, NO_MAP, cv2.INTER_LINEAR)
            drawn[self.window.box.slices] = lids

        self.iris.draw(drawn)

    def light(self, lit: RgbImage, target: RgbImage) -> None:
        """Give the drawn eye the target's light, in place."""
        if not self._is_in_crop:
            return

        eye = lit[self.window.box.slices].astype(np.float32)
        self._light(eye, target)
        lit[self.window.box.slices] = np.clip(eye + 0.5, 0, 255)

    def close(self, face: RgbImage, target: RgbImage) -> None:
        """Give the eye the target's lids while it is shut, in place.

        They are as sharp as the target already: this comes after the face has been made so.
        """
        shut = float(np.clip((SHUT_FROM - self.moving.openness) / (SHUT_FROM - SHUT_AT), 0, 1))
        if shut <= 0 or not self._is_in_crop:
            return

        eye = face[self.window.box.slices].astype(np.float32)
        seen = Lids(self.moving.seen.lids, self.rest.side)
        # Lines of lashes a pixel of the frame wide lose by being sampled twice.
        pixel = self.rest.axes.width / max(self.moving.width_px, 1.0)
        lids = ShutLids(self.window, sharpened(self.window, target, seen, pixel))
        lids.draw(eye, shut)
        face[self.window.box.slices] = np.clip(eye + 0.5, 0, 255)

    @cached_property
    def window(self) -> EyeWindow:
        """Where the eye is drawn, with its lids opened as far as the target's."""
        own = self.rest.axes.own(self.rest.points)
        gap = own[LOWER, 1] - own[UPPER, 1]
        own[LOWER, 1] -= LOWER_LID * max(0.0, 1 - self._opened) * gap
        own[UPPER, 1] = own[LOWER, 1] - gap * self._opened

        return EyeWindow(Lids(self.rest.axes.image(own), self.rest.side), self.size)

    @cached_property
    def iris(self) -> DrawnIris:
        """The iris where the target looks."""
        span = (GAZE_PX_SMALL, GAZE_PX), (GAZE_GAIN_SMALL, GAZE_GAIN)
        aside, down = self.moving.glance
        aside = aside * float(np.interp(self.moving.width_px, *span)) + self.vergence
        gaze = np.array([np.clip(aside, -FAR_ASIDE, FAR_ASIDE), down])
        centre = self.rest.axes.image(gaze)

        return DrawnIris(self.disc, self.iris_axes, centre, self.window.lids, self.size)

    @property
    def _is_in_crop(self) -> bool:
        return min(*self.window.box.size, *self.iris.box.size) >= LEAST_PX

    @cached_property
    def _opened(self) -> float:
        opened = float(np.interp(self.moving.openness, READ_OPEN, DRAWN_OPEN))
        own = self.rest.axes.own(self.rest.points)
        opening = float((own[LOWER, 1] - own[UPPER, 1])[1:-1].mean())
        return opened * float(np.clip(LEAST_OPENING / max(opening, 1e-3), 1, MOST_WIDENED))

    def _light(self, eye: Array, target: RgbImage) -> None:
        """Bring the white of the eye to the target's, the iris's brightness along, and add the
        catch light, in place.
        """
        box = self.iris.box
        outer = self.window.box
        rows = slice(box.top - outer.top, box.bottom - outer.top)
        columns = slice(box.left - outer.left, box.right - outer.left)
        white = self.window.lids.opening(outer)
        share = self.iris.share

        if white[rows, columns].shape != share.shape:
            return  # an iris that stands out of its window is hidden anyhow

        white[rows, columns] *= 1 - share
        iris = eye[rows, columns]

        wanted = self.moving.white
        seen = eye[white > 0.5]

        if wanted is not None and len(seen) >= WHITE_COUNT:
            own = percentile(seen, OWN_WHITE)
            ratio = (float(wanted @ LUMA) + 5) / (float(own @ LUMA) + 5)
            gain = float(np.clip(ratio, *LIGHT_RANGE)) ** IRIS_LIGHT_SHARE
            iris *= 1 + (gain - 1) * share[..., None]
            eye += cv2.merge([white * float(level) for level in WHITE_SHARE * (wanted - own)])

        seen_eye = self.moving.seen
        shown = target if self.moving.width_px >= LIGHT_PX else None
        iris += self.iris.lights(shown, seen_eye.iris[0], seen_eye.iris_radius)[..., None]
