"""Makes a placed texture as sharp, as soft and as grainy as the video or image it is put on.

Detail is compared in the pixels of the frame, where the face is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask, RgbImage
from models.inference.native.kernels import kernels
from models.inference.texture.blur import (
    FLOOR,
    Blur,
    Detail,
    blurred,
    missing_blur,
    octaves_of,
    variations,
)

MIDDLE = np.s_[48:176, 48:176]  # where detail is looked at: eyes, nose, cheeks and mouth
# Sampling between pixels takes this variance of a pixel's detail, on average over all places.
SAMPLING = 1 / 6
SHARPER_FROM = 1.05  # of the detail: less is not seen
MOST_SHARPER = 2.2  # more would only sharpen the photo's own noise
MOST_LEVELS = 14.0  # that sharpening adds: at the edge of a dark lip or brow more shows as a line
# A face on a soft target keeps this many times the target's contrast of small parts, and at least
# this share of its own: identity is in brows, lids and lips.
MORE_CONTRAST = 1.1
LEAST_CONTRAST = 0.4
# How fast a video's focus is followed: the share of a change that is taken at once, by how large it
# is beside the blur there was. Readings differ by a tenth; a head that begins to move doubles it.
CHANGES = (0.2, 0.8)
RATES = (0.15, 1.0)
# Pixels of the crop. A target that is hardly soft is read as sharp in one frame and as a pixel out
# of focus in the next: that is to be a small change.
BLUR_FLOOR = 3.0
COARSE = 56  # pixels: the grid on which a part's surroundings are averaged,
SURROUND = 3.0  # and how far: as wide as an eye
GRAIN_SPREADS = 3.0  # what is stronger is an edge and no grain
MOST_LOST = 2.0  # of the grain: what would need more is finer than the crop
LEAST_GRAIN = 0.3  # levels: below, there is none to give

Array = NDArray[Any]


@dataclass(frozen=True)
class Focus:
    """What a face lacks to be as sharp, as soft and as grainy as its target.

    `detail` is how many times more of the finest detail the target has, `blur` what makes the face
    as soft in crop pixels, `contrast` the share of its detail that is left on a soft target,
    `grain` the share of the target's grain to be shown, over 1 what pasting takes of it; `scale` is
    how many pixels of the crop one of the frame is.
    """

    detail: float
    blur: Blur
    contrast: float
    grain: float
    scale: float

    @classmethod
    def of(cls, lit: RgbImage, target: RgbImage, where: Mask, scale: float = 1.0) -> Focus:
        """Compare a face with its target.

        Both are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of a pixel that is the
        face's.
        """
        enlarged = max(scale, 1.0)  # a frame finer than the crop gets its detail elsewhere
        octaves = octaves_of(_in_frame(where[MIDDLE], enlarged))
        skin = octaves[0]
        seen = _in_frame(_grey(target[MIDDLE]), enlarged)
        grey = _in_frame(_grey(lit[MIDDLE]), enlarged)
        detail = Detail.of(seen, octaves)
        across, down = missing_blur(grey, detail, octaves)
        # Pasting will sample the face between its pixels, as cropping has done to the target: how
        # much of its detail that takes is tried out on it.
        wanted = _fine(seen, skin)
        lost = wanted / max(_fine(_sampled(seen, SAMPLING), skin), FLOOR)
        own = _fine(_sampled(grey, SAMPLING / enlarged**2), skin)

        return cls(
            detail=wanted * lost / max(own, FLOOR),
            blur=(across * enlarged, down * enlarged),
            contrast=_contrast(grey, (across, down), detail, octaves),
            grain=detail.graininess * min(lost**2, MOST_LOST),
            scale=enlarged,
        )

    def sharpened(self, face: RgbImage) -> RgbImage:
        """Return a face that is too soft with more of its finest detail."""
        if max(self.blur) > 0 or self.detail < SHARPER_FROM:
            return face

        more = min(self.detail, MOST_SHARPER) - 1
        soft = np.asarray(cv2.blur(face, (3, 3)), np.uint8)
        native = kernels()
        if native is not None:
            return native.sharpened(face, soft, more, MOST_LEVELS)

        fine = cv2.subtract(face, soft, dtype=cv2.CV_16S)
        added = np.clip(fine * np.float32(more), -MOST_LEVELS, MOST_LEVELS).astype(np.int16)
        return np.asarray(cv2.add(face, added, dtype=cv2.CV_8U), np.uint8)

    def softened(self, face: RgbImage, target: RgbImage, where: Mask) -> RgbImage:
        """Return a face that is too sharp blurred, and with the target's grain."""
        soft = np.asarray(blurred(face, self.blur), np.uint8) if max(self.blur) > 0 else face
        if self.contrast < 1:
            soft = _flattened(soft, where, self.contrast)
        if self.grain <= 0:
            return soft
        return _with_grain(soft, target, where[MIDDLE] > 0.5, self.grain, self.scale)


@dataclass
class SteadyFocus:
    """The focus of one face in a video, from frame to frame.

    It changes slowly, or at once where a head moves; what differs a little in every frame is how it
    is read, and would be seen as a face that breathes.
    """

    last: Focus | None = field(default=None, init=False)

    def reset(self) -> None:
        """Forget: the track now follows someone else, or in another shot."""
        self.last = None

    def see(self, focus: Focus, frames: int = 1) -> Focus:
        """Return the focus of the next frame, leaning on those before.

        `frames` is how many frames ago the focus was read before this.
        """
        last = self.last
        if last is not None:
            before = np.array([*last.blur, last.detail, last.contrast, last.grain])
            now = np.array([*focus.blur, focus.detail, focus.contrast, focus.grain])
            change = float(np.max(np.abs(now - before)[:2])) / (max(last.blur) + BLUR_FLOOR)
            kept = (1 - float(np.interp(change, CHANGES, RATES))) ** frames
            across, down, detail, contrast, grain = (now + kept * (before - now)).tolist()
            focus = Focus(detail, (across, down), contrast, grain, focus.scale)

        self.last = focus
        return focus


def as_sharp(lit: RgbImage, target: RgbImage, where: Mask, scale: float = 1.0) -> RgbImage:
    """Return a face with as much fine detail as the target has, and with the target's grain."""
    focus = Focus.of(lit, target, where, scale)
    return focus.softened(focus.sharpened(lit), target, where)


def _contrast(grey: Array, blur: Blur, wanted: Detail, octaves: Sequence[Mask]) -> float:
    """Return the share of a blurred face's detail that makes it as strong as the target's, 1 where
    it need not be blurred: then the target is sharp, and its smooth skin is its own.
    """
    if max(blur) <= 0:
        return 1.0

    own = Detail.of(blurred(grey, blur), octaves)
    share = (wanted.levels[..., :2] + FLOOR) / (own.levels[..., :2] + FLOOR)
    return float(np.clip(MORE_CONTRAST * share.min(axis=-1).mean(), LEAST_CONTRAST, 1))


def _flattened(face: RgbImage, where: Mask, share: float) -> RgbImage:
    """Return a face with a share of what differs from its surroundings."""
    small = cv2.resize(where, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(face, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = cv2.GaussianBlur(small, (0, 0), SURROUND)[..., None] + 1e-3
    low = cv2.GaussianBlur(levels * small[..., None], (0, 0), SURROUND) / weight
    around = cv2.resize(low, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.addWeighted(face, share, around.astype(np.uint8), 1 - share, 0), np.uint8)


def _fine(grey: Array, where: Mask) -> float:
    return variations(grey, where, (3, 3))[0]


def _sampled(grey: Array, variance: float) -> Array:
    """Return an image as sampling between its pixels leaves it on average."""
    kernel = np.array([variance / 2, 1 - variance, variance / 2], np.float32)
    return np.asarray(cv2.sepFilter2D(grey, -1, kernel, kernel))


def _with_grain(
    face: RgbImage, target: RgbImage, skin: NDArray[np.bool_], share: float, scale: float
) -> RgbImage:
    """Return the face with the target's own grain where the target has more than it.

    Grain is what a small blur takes away on even skin. The target's own has its video's size,
    strength and change from frame to frame, which made noise would have to copy; `share` is how
    much of it is to be shown, over 1 what cropping and pasting take.
    """
    side = 2 * round(1.5 * scale - 0.5) + 1  # three pixels of the frame
    grey = _grey(target)
    soft = np.asarray(cv2.blur(grey, (side, side)), np.uint8)
    strength = _strength(grey, soft, skin)
    if strength < LEAST_GRAIN:
        return face

    levels = _grey(face)
    own = _strength(levels, cv2.blur(levels, (side, side)), skin)
    if own >= strength:
        return face

    share *= float(np.sqrt(1 - (own / strength) ** 2))
    most = GRAIN_SPREADS * 1.48 * strength
    native = kernels()
    if native is not None:
        return native.grained(face, grey, soft, share, most)

    grain = np.asarray(cv2.subtract(grey, soft, dtype=cv2.CV_32F))
    even = np.where(np.abs(grain) < most, grain * np.float32(share), 0).astype(np.int16)
    return np.asarray(cv2.add(face, cv2.merge([even, even, even]), dtype=cv2.CV_8U), np.uint8)


def _strength(grey: Array, soft: Array, skin: NDArray[np.bool_]) -> float:
    """Return the median of what a plane has beside its own blur, where its middle is skin."""
    apart = cv2.absdiff(grey[MIDDLE], soft[MIDDLE])
    counts = cv2.calcHist([apart], [0], skin.astype(np.uint8), [256], [0, 256]).ravel()
    # Whole levels are counted, not sorted. Of an even number the two in the middle are averaged.
    below = np.cumsum(counts)
    total = int(below[-1])
    if total == 0:
        return 0.0

    middle = np.searchsorted(below, [(total - 1) // 2, total // 2], side="right")
    return float(middle.mean())


def _grey(image: RgbImage) -> Array:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _in_frame(plane: Array, scale: float) -> Array:
    """Return a plane of the crop in the frame's pixels, float32."""
    plane = plane.astype(np.float32)
    if scale < 1.05:  # the same but for a twentieth
        return plane

    size = round(plane.shape[0] / scale)
    return np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA))
