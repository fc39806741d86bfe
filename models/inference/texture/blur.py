"""How blurred an image is, and the blur that makes a face no sharper.

Detail is compared in octaves: the share that each finer octave has of the coarser one says how far
out of focus an image is, whatever its contrast. Across and down apart, because moving heads blur
one way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask

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
# Nor to edges that rise less steeply than the target's own: wrinkles, stubble and the rims of
# glasses are more detail than a smooth face has in the same focus, and are no reason to blur eyes.
LEAST_STEEPNESS = 0.8
EDGE_NOISE = 0.7  # levels, in the finest octave: what rounding and coding leave of strong edges
SIGMAS = (0.35, 14.0)  # px of the frame: blurs that are tried; the least is not seen
STEP = 1.8  # from one that is tried to the next,
HALVINGS = 3  # and then halvings between two, to 8 %
# Share of the finest octave on even skin: of edges out of focus it is below, of grain above.
GRAIN_FROM = 0.45
GRAIN_SURE = 0.6

Array = NDArray[Any]
Blur = tuple[float, float]
"""Standard deviations across and down, in pixels of the frame."""


@dataclass(frozen=True)
class Detail:
    """What each octave has, fine to coarse, float [2, 2, OCTAVES]: across and down, each as a mean
    magnitude and as a mean of roots. Strong edges decide the one, even skin the other: the few hard
    edges of coarsely coded blocks make no image sharp.

    `steepest` [2, OCTAVES] is decided by the strongest edges alone, lids and lips: of an old face
    and a young one in equal focus they are as steep, whatever lies on the skin between.
    """

    levels: Array
    steepest: Array

    @classmethod
    def of(cls, grey: Array, where: Sequence[Mask]) -> Detail:
        """Measure float32 [h, w], as far as `where` says: what `octaves_of` returned."""
        levels: list[list[tuple[float, float]]] = []
        edges: list[list[float]] = []
        for weight in where:
            grey = grey if not levels else _halved(grey)
            apart = [_apart(grey, (3, 1)), _apart(grey, (1, 3))]
            levels.append([_means(one, weight) for one in apart])
            edges.append([_steepest(one, weight) for one in apart])

        return cls(np.moveaxis(np.array(levels), 0, -1), np.moveaxis(np.array(edges), 0, -1))

    @property
    def shares(self) -> Array:
        """Each octave over the next coarser one."""
        return np.asarray((self.levels[..., :-1] + FLOOR) / (self.levels[..., 1:] + FLOOR))

    @property
    def steepness(self) -> Array:
        """How steep the strongest edges are: each octave of them over the next coarser one."""
        noise = EDGE_NOISE * 0.5 ** np.arange(self.steepest.shape[-1])
        edges = np.sqrt(np.maximum(self.steepest**2 - noise**2, FLOOR**2))
        return np.asarray(edges[:, :-1] / edges[:, 1:])

    @property
    def graininess(self) -> float:
        """0 where the finest octave is of edges out of focus, 1 where it is grain for certain."""
        share = float(self.shares[:, 1, 0].mean())
        return float(np.clip((share - GRAIN_FROM) / (GRAIN_SURE - GRAIN_FROM), 0, 1))


def octaves_of(where: Mask) -> list[Mask]:
    """Return weights [h, w] in 0..1 for each octave, fine to coarse, each of sum one."""
    octaves: list[Mask] = []
    while len(octaves) < OCTAVES and min(where.shape) >= LEAST_PX:
        octaves.append(np.asarray(where / (where.sum() + 1e-6), np.float32))
        where = _halved(where)

    return octaves


def variations(grey: Array, weight: Mask, kernel: tuple[int, int]) -> tuple[float, float]:
    """Return how strong what a box blur takes away is: its mean, and its mean root squared."""
    return _means(_apart(grey, kernel), weight)


def _apart(grey: Array, kernel: tuple[int, int]) -> Array:
    return np.asarray(cv2.absdiff(grey, cv2.blur(grey, kernel)))


def _means(apart: Array, weight: Mask) -> tuple[float, float]:
    return float(np.vdot(apart, weight)), float(np.vdot(cv2.sqrt(apart), weight)) ** 2


def _steepest(apart: Array, weight: Mask) -> float:
    """Return the fourth root of the mean fourth power."""
    squares = cv2.multiply(apart, apart)
    return float(np.sqrt(np.sqrt(np.vdot(cv2.multiply(squares, squares), weight))))


def missing_blur(grey: Array, wanted: Detail, where: Sequence[Mask]) -> Blur:
    """Return the least blur that makes a face no sharper than the target, (0, 0) for none.

    `grey` float32 [h, w] is the face, `where` the octaves of its share of each pixel. Both ways
    alike until one of them fits, then the other way alone.
    """
    sharp = Detail.of(grey, where)
    limits = np.full(wanted.levels.shape, np.inf)
    out_of_focus = wanted.shares < OUT_OF_FOCUS * sharp.shares
    levels = wanted.levels[..., :-1] + FLOOR
    limits[..., :-1][out_of_focus] = MOST_DETAIL * levels[out_of_focus]

    told = wanted.graininess <= 0
    enough = np.where(told & (wanted.levels[..., 0] > ROUNDING), LEAST_DETAIL, 0)
    enough = enough * wanted.levels[..., 0]

    def too_sharp(blur: Blur) -> NDArray[np.bool_]:
        detail = sharp if max(blur) == 0 else Detail.of(blurred(grey, blur), where)
        steeper = (detail.shares > STEEPER * wanted.shares).any(axis=(1, 2))
        above = (detail.levels > limits).any(axis=(1, 2))
        finest = (detail.levels[..., 0] > enough).any(axis=1)
        edges = (detail.steepness > LEAST_STEEPNESS * wanted.steepness).any(axis=1)
        return np.asarray((steeper | above) & finest & edges, bool)

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
    """Return the least blur that fits, to a few per cent, from `least` on; the widest if none.

    Narrow blurs are tried first: they are those most often wanted, and cost least.
    """
    if fits(least):
        return least

    low = max(least, SIGMAS[0])
    high = low * STEP
    while high < SIGMAS[1] and not fits(high):
        low = high
        high *= STEP

    for _ in range(HALVINGS):
        middle = float(np.sqrt(low * high))
        if fits(middle):
            high = middle
        else:
            low = middle

    return min(high, SIGMAS[1])


def _halved(plane: Array) -> Array:
    half = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA))


def blurred(image: Array, blur: Blur) -> Array:
    """Return an image blurred by one deviation across and another down."""
    across = max(blur[0], 1e-3)  # OpenCV takes a 0 for both ways alike
    down = max(blur[1], 1e-3)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), across, sigmaY=down))
