"""Makes a placed texture as sharp, as soft and as grainy as the video or image it is put on.

Detail is compared in the pixels of the frame, where the face is looked at, in octaves: the share
that each finer octave has of the coarser one says how blurred an image is, whatever its contrast.
Across and down apart, because moving heads blur one way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask, RgbImage

MIDDLE = np.s_[48:176, 48:176]  # where detail is looked at: eyes, nose, cheeks and mouth
OCTAVES = 4  # the coarsest tells blurs of 12 px apart
LEAST_PX = 8  # of the coarsest octave: of fewer cells nothing is told
FLOOR = 0.05  # levels: less is the rounding of bytes
# A face whose octave has this many times the target's share of the next one is too sharp; faces
# in equal focus differ by a fifth.
STEEPER = 1.2
# A target steeper than this share of the face's own is out of focus, and then the face is to have
# no more detail than so many times the target's.
OUT_OF_FOCUS = 0.8
MOST_DETAIL = 1.0
# But no face is blurred to less than this share of the target's finest octave, where that is more
# than grain or the rounding of bytes: a coarsely coded target has little between fine and coarse.
LEAST_DETAIL = 1.0
ROUNDING = 0.25
SIGMAS = (0.35, 14.0)  # px of the frame: blurs that are tried; the least is not seen
HALVINGS = 6  # of their range, to 6 %
# Sampling between pixels takes this variance of a pixel's detail, on average over all places.
SAMPLING = 1 / 6
SHARPER_FROM = 1.05  # of the detail: less is not seen
MOST_SHARPER = 2.2  # more would only sharpen the photo's own noise
MOST_LEVELS = 14.0  # that sharpening adds: at the edge of a dark lip or brow more shows as a line
GRAIN_SPREADS = 3.0  # what is stronger is an edge and no grain
# Share of the finest octave on even skin: of edges out of focus it is below, of grain above.
GRAIN_FROM = 0.45
GRAIN_SURE = 0.6
MOST_LOST = 2.0  # of the grain: what would need more is finer than the crop
LEAST_GRAIN = 0.3  # levels: below, there is none to give

Array = NDArray[Any]
Blur = tuple[float, float]
"""Standard deviations across and down, in pixels of the frame."""


def as_sharp(lit: RgbImage, target: RgbImage, where: Mask, scale: float = 1.0) -> RgbImage:
    """Return a face with as much fine detail as the target has, and with the target's grain.

    Both are swap crops, uint8 RGB [224, 224, 3]; `where` is the share of a pixel that is the
    face's, `scale` how many pixels of the crop one of the frame is.
    """
    enlarged = max(scale, 1.0)  # a frame that is finer than the crop gets its detail elsewhere
    skin = _in_frame(where[MIDDLE], enlarged)
    seen = _in_frame(_grey(target[MIDDLE]), enlarged)
    grey = _in_frame(_grey(lit[MIDDLE]), enlarged)
    detail = _Detail.of(seen, skin)
    blur = _missing_blur(grey, detail, skin)
    # Pasting will sample the face between its pixels, as cropping has done to the target: how much
    # of its detail that takes is tried out on it.
    wanted = _fine(seen, skin)
    lost = wanted / max(_fine(_sampled(seen, SAMPLING), skin), FLOOR)

    if max(blur) > 0:
        matched = _blurred(lit, (blur[0] * enlarged, blur[1] * enlarged))
    else:
        own = _fine(_sampled(grey, SAMPLING / enlarged**2), skin)
        matched = _sharpened(lit, wanted * lost / max(own, FLOOR))

    if detail.graininess <= 0:
        return matched

    made_up = detail.graininess * min(lost**2, MOST_LOST)
    return _with_grain(matched, target, where[MIDDLE] > 0.5, made_up, enlarged)


@dataclass(frozen=True)
class _Detail:
    """What each octave has, fine to coarse, float [2, 2, OCTAVES]: across and down, each as a mean
    magnitude and as a mean of roots. Strong edges decide the one, even skin the other: the few hard
    edges of coarsely coded blocks make no image sharp.
    """

    levels: Array

    @classmethod
    def of(cls, grey: Array, where: Mask) -> _Detail:
        levels = []
        for _ in range(OCTAVES):
            if min(grey.shape) < LEAST_PX:
                break

            levels.append([_variations(grey, where, (3, 1)), _variations(grey, where, (1, 3))])
            half = (grey.shape[1] // 2, grey.shape[0] // 2)
            grey = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
            where = np.asarray(cv2.resize(where, half, interpolation=cv2.INTER_AREA), np.float32)

        return cls(np.moveaxis(np.array(levels), 0, -1))

    @property
    def shares(self) -> Array:
        """Each octave over the next coarser one."""
        return np.asarray((self.levels[..., :-1] + FLOOR) / (self.levels[..., 1:] + FLOOR))

    @property
    def graininess(self) -> float:
        """0 where the finest octave is of edges out of focus, 1 where it is grain for certain."""
        share = float(self.shares[:, 1, 0].mean())
        return float(np.clip((share - GRAIN_FROM) / (GRAIN_SURE - GRAIN_FROM), 0, 1))


def _variations(grey: Array, where: Mask, kernel: tuple[int, int]) -> tuple[float, float]:
    """Return how strong what a box blur takes away is: its mean, and its mean root squared."""
    apart = cv2.absdiff(grey, cv2.blur(grey, kernel))
    total = float(where.sum()) + 1e-6
    return float((apart * where).sum()) / total, (
        float((cv2.sqrt(apart) * where).sum()) / total
    ) ** 2


def _missing_blur(grey: Array, wanted: _Detail, where: Mask) -> Blur:
    """Return the least blur that makes a face no sharper than the target, (0, 0) for none.

    Both ways alike until one of them fits, then the other way alone.
    """
    sharp = _Detail.of(grey, where)
    limits = np.full(wanted.levels.shape, np.inf)
    out_of_focus = wanted.shares < OUT_OF_FOCUS * sharp.shares
    levels = wanted.levels[..., :-1] + FLOOR
    limits[..., :-1][out_of_focus] = MOST_DETAIL * levels[out_of_focus]

    told = wanted.graininess <= 0
    enough = np.where(told & (wanted.levels[..., 0] > ROUNDING), LEAST_DETAIL, 0)
    enough = enough * wanted.levels[..., 0]

    def too_sharp(blur: Blur) -> NDArray[np.bool_]:
        detail = sharp if max(blur) == 0 else _Detail.of(_blurred(grey, blur), where)
        steeper = (detail.shares > STEEPER * wanted.shares).any(axis=(1, 2))
        above = (detail.levels > limits).any(axis=(1, 2))
        finest = (detail.levels[..., 0] > enough).any(axis=1)
        return np.asarray((steeper | above) & finest, bool)

    if not too_sharp((0.0, 0.0)).any():
        return 0.0, 0.0

    both = _least(lambda sigma: not too_sharp((sigma, sigma)).all())
    across, down = too_sharp((both, both))
    if across:
        return _least(lambda sigma: not too_sharp((sigma, both))[0], both), both
    if down:
        return both, _least(lambda sigma: not too_sharp((both, sigma))[1], both)

    return both, both


def _least(fits: Callable[[float], bool], least: float = 0.0) -> float:
    """Return the least blur that fits, to a few per cent, from `least` on; the widest if none."""
    if fits(least):
        return least

    low = float(np.log(max(least, SIGMAS[0])))
    high = float(np.log(SIGMAS[1]))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if fits(float(np.exp(middle))):
            high = middle
        else:
            low = middle

    return float(np.exp(high))


def _fine(grey: Array, where: Mask) -> float:
    return _variations(grey, where, (3, 3))[0]


def _sampled(grey: Array, variance: float) -> Array:
    """Return an image as sampling between its pixels leaves it on average."""
    kernel = np.array([variance / 2, 1 - variance, variance / 2], np.float32)
    return np.asarray(cv2.sepFilter2D(grey, -1, kernel, kernel))


def _sharpened(lit: RgbImage, share: float) -> RgbImage:
    if share < SHARPER_FROM:
        return lit

    more = min(share, MOST_SHARPER) - 1
    fine = cv2.subtract(lit, cv2.blur(lit, (3, 3)), dtype=cv2.CV_16S)
    added = np.clip(fine * np.float32(more), -MOST_LEVELS, MOST_LEVELS).astype(np.int16)
    return np.asarray(cv2.add(lit, added, dtype=cv2.CV_8U), np.uint8)


def _blurred(image: Array, blur: Blur) -> Array:
    across = max(blur[0], 1e-3)  # OpenCV takes a 0 for both ways alike
    down = max(blur[1], 1e-3)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), across, sigmaY=down))


def _with_grain(
    face: RgbImage, target: RgbImage, skin: NDArray[np.bool_], share: float, scale: float
) -> RgbImage:
    """Return the face with the target's own grain where the target has more than it.

    Grain is what a small blur takes away on even skin. The target's own has its video's size,
    strength and change from frame to frame, which made noise would have to copy; `share` is how
    much of it is to be shown, over 1 what cropping and pasting take.
    """
    side = 2 * round(1.5 * scale - 0.5) + 1  # three pixels of the frame
    grain = _residual(target, side)
    strength = _strength(grain, skin)
    own = _strength(_residual(face, side), skin)

    if strength < LEAST_GRAIN or own >= strength:
        return face

    share *= float(np.sqrt(1 - (own / strength) ** 2))
    most = GRAIN_SPREADS * 1.48 * strength
    even = np.where(np.abs(grain) < most, grain * share, 0).astype(np.int16)

    return np.asarray(cv2.add(face, cv2.merge([even, even, even]), dtype=cv2.CV_8U), np.uint8)


def _strength(grain: Array, skin: NDArray[np.bool_]) -> float:
    inner = grain[MIDDLE][skin]
    return float(np.median(np.abs(inner))) if len(inner) else 0.0


def _residual(image: RgbImage, side: int) -> Array:
    grey = _grey(image)
    return np.asarray(cv2.subtract(grey, cv2.blur(grey, (side, side)), dtype=cv2.CV_32F))


def _grey(image: RgbImage) -> Array:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _in_frame(plane: Array, scale: float) -> Array:
    """Return a plane of the crop in the frame's pixels, float32."""
    plane = plane.astype(np.float32)
    if scale < 1.05:  # the same but for a twentieth
        return plane

    size = round(plane.shape[0] / scale)
    return np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA))
