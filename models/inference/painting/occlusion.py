"""What is in front of a face: a small network says it of every image and every first frame; in a
video what it said of the last frame only steadies the verdict.

The mesh network stays sure of itself behind a hand, so its confidence cannot tell. Measured with
`make bar BAR=V-4`; what the network learns from is in models/training/cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, Plane, RgbImage, to_network
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.mesh_points import BROWS
from models.inference.painting.face_guide import face_guide, face_hull
from models.inference.painting.occlusion_memory import OcclusionMemory
from models.inference.session import Network

SIZE = 112  # what the network looks at
SCALE = SIZE / TEMPLATE_SIZE

HALF = 127  # of a hull's levels
MIN_SHARE = 0.01  # of the face: smaller parts are noise
RIM_PX = 4  # of 112: what covers a face comes in from outside, so it reaches the hull's rim
# Of the face's mean level: clear glasses have .53 and more, dark ones under .2.
DARK_GLASSES = 0.4
# What lies within the face is believed when the network is this sure of this much of it.
ISLAND_SURE = 0.9
ISLAND_SHARE = 0.02
CLOSING_PX = 5  # between two fingers no skin is painted

Array = NDArray[Any]


@dataclass(frozen=True)
class Limits:
    """A part is cover where the network is `sure` enough of some of it, and then as far as what it
    sees is `doubted` to be skin; and where it reaches `depth_px` of 112 into the face.
    """

    doubted: float
    sure: float
    depth_px: int = 0


# Chosen on the measured videos: objects are believed early, for a hand painted over is worse than
# a shadow left open; hair that comes and goes at a forehead is seen, so it has to be surer. Below
# the brows dark temples and the edge of a shadow look like hair, so it has to be certain, and a
# strand that hangs over the face: the hair line beside an eye reaches 15 px in at most (of 95
# portraits and 1,464 frames), and left open it cuts a step into the face at the brow. Glasses
# must be certain, and dark: half a clear frame kept is worse than none, and the eyes kept behind it
# are the target's (of 126 evaluation pairs .897 are recognised with clear ones kept, .929 without).
FRINGE = Limits(doubted=0.3, sure=0.5)
HAIR_BELOW_BROWS = Limits(doubted=0.8, sure=0.95, depth_px=16)
GLASSES = Limits(doubted=0.5, sure=0.9)
OBJECT = Limits(doubted=0.08, sure=0.15)


@dataclass(frozen=True)
class CoverFinder:
    """The cover network and what is made of its answer; the same for all people and identities."""

    network: Network

    def look(self, target: RgbImage, landmarks: Landmarks) -> tuple[Array, Array]:
        """Return how likely each pixel is hair, glasses or an object, float32 [3, 112, 112] in
        0..1, and the face guide that the network was shown.

        `target` is the 224 px crop, `landmarks` [468, 2] are in its pixels.
        """
        guide = face_guide(_in_input(landmarks), SIZE)
        shown = self.network(to_network(_small(target)), guide[None])

        return np.asarray(shown["cover"][0]), guide

    def find(
        self, target: RgbImage, landmarks: Landmarks, memory: OcclusionMemory | None = None
    ) -> Mask | None:
        """Return how much each pixel of the 224 px crop is covered, 0..1, or None when nothing is.

        A `memory` of the frame before steadies the answer in videos.
        """
        in_input = _in_input(landmarks)
        drawn = face_hull(in_input, SIZE)
        small = _small(target)
        likely = None if memory is None else memory.kept(small, drawn)

        if likely is None:
            likely, _ = self.look(target, landmarks)
            if memory is not None:
                likely = memory.steadied(likely, small)

        hull = drawn > HALF
        soft = np.zeros((SIZE, SIZE), np.float32)

        for plane, limits in _with_limits(likely, in_input):
            parts = _believed(plane, hull, limits)
            if limits is GLASSES:
                parts = _dark_glasses(target, parts, hull)
                plane = np.maximum(plane, parts)
            if parts.any():
                soft = np.maximum(soft, _softened(plane, parts, limits))

        is_open = not soft.any()
        if memory is not None:
            memory.is_open = is_open
        if is_open:
            return None

        return np.asarray(cv2.resize(soft, (TEMPLATE_SIZE, TEMPLATE_SIZE)), np.float32)


def _with_limits(likely: Array, landmarks: Landmarks) -> Iterator[tuple[Array, Limits]]:
    """Yield each kind's plane with its limits; hair above and below the brows apart."""
    brows = int(np.clip(landmarks[[*BROWS[0], *BROWS[1]], 1].max(), 0, SIZE))
    hair, glasses, thing = likely
    above = np.zeros_like(hair)
    above[:brows] = hair[:brows]

    yield above, FRINGE
    yield hair - above, HAIR_BELOW_BROWS
    yield glasses, GLASSES
    yield thing, OBJECT


def _small(target: RgbImage) -> RgbImage:
    """Return the crop as the network sees it."""
    small = cv2.resize(target, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _in_input(landmarks: Landmarks) -> Landmarks:
    return np.asarray((landmarks + 0.5) * SCALE - 0.5, np.float32)


def _dark_glasses(target: RgbImage, parts: Plane, hull: Array) -> Plane:
    """Return the glasses that hide the eyes, all that is as dark and joined to them; else nothing.

    The network sees the middle of lenses surely and their outer halves less so.
    """
    kept = np.zeros_like(parts)
    covered = parts > 0
    skin = hull & ~covered
    if not covered.any() or not skin.any():
        return kept

    small = cv2.resize(target, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    limit = DARK_GLASSES * luma[skin].mean()
    if luma[covered].mean() >= limit:
        return kept

    for part in _parts(covered | ((luma < limit) & hull)):
        if (part & covered).any():
            kept[part] = 1

    return kept


def _believed(likely: Array, hull: Array, limits: Limits) -> Plane:
    """Return the parts of one kind that are cover: uint8 [112, 112] of 0 and 1."""
    kept = np.zeros((SIZE, SIZE), np.uint8)
    doubted = (likely > limits.doubted) & hull
    face_px = int(np.count_nonzero(hull))

    if np.count_nonzero(doubted) < MIN_SHARE * face_px:
        return kept

    inner = _inside(hull, RIM_PX)
    deep = _inside(hull, limits.depth_px)

    for part in _parts(doubted):
        share = np.count_nonzero(part) / face_px
        if share < MIN_SHARE or likely[part].max() < limits.sure or not (part & deep).any():
            continue

        island = not (part & ~inner).any()
        if island and (share < ISLAND_SHARE or likely[part].max() < ISLAND_SURE):
            continue

        kept[part] = 1

    return kept


def _inside(hull: Array, depth_px: int) -> Array:
    """Return what of a hull is farther than `depth_px` from its rim."""
    return cv2.erode(hull.astype(np.uint8), np.ones((2 * depth_px + 1,) * 2, np.uint8)) > 0


def _parts(binary: Array) -> Iterator[Array]:
    count, names = cv2.connectedComponents(binary.astype(np.uint8))
    for name in range(1, count):
        yield names == name


def _softened(likely: Array, parts: Plane, limits: Limits) -> Array:
    """Return the kept parts with the network's own soft edge, the gaps within them closed."""
    whole = cv2.morphologyEx(parts, cv2.MORPH_CLOSE, np.ones((CLOSING_PX, CLOSING_PX), np.uint8))
    near = cv2.dilate(whole, np.ones((3, 3), np.uint8))
    edge = np.clip((likely - limits.doubted) / (limits.sure - limits.doubted), 0, 1) * near
    closed = cv2.erode(whole, np.ones((3, 3), np.uint8)).astype(np.float32)

    return np.asarray(np.maximum(edge, cv2.GaussianBlur(closed, (0, 0), 0.7) * near))
