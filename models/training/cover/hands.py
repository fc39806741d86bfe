"""Hands cut from clips of people signing: skin-coloured parts below the chin, with the frame's own
pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.alignment import eye_distance
from models.training.material.clips import faces_of

Array = NDArray[Any]

EYES_PX = 35.0  # between the eyes of a face at the scale hands are kept in: the network's own
SIDE = 112
EVERY = 3  # frames: between two neighbours a hand hardly changes
CHIN = 152
CHEEKS_AND_FOREHEAD = (50, 280, 205, 425, 151)
CHROMA_SPREAD = 9.0  # levels of Cr and Cb within which a person's hands are like their face
DARKEST = 0.45  # of the face's luma
BRIGHTEST = 1.6
ASIDE = 6.0  # eye distances from the face's middle: farther off it is somebody's screen
BELOW_CHIN = 0.9  # eye distances: nearer it is the neck
AREA = (0.55, 9.0)  # squared eye distances: a finger alone, and two arms
ALIKE = 0.75  # of a part's pixels before its holes were filled: less is a badge or a screen
SOLID = 0.4  # of its bounding box: less is a seam of the clothes
EDGE_PX = 0.8


def cut_hands(engine: FaceSwapEngine, clip: Path) -> Iterator[tuple[RgbImage, Array]]:
    """Yield pixels [112, 112, 3] and alpha [112, 112], both uint8, of hands in a clip."""
    for image, mesh in faces_of(engine, clip, EVERY):
        scale = EYES_PX / eye_distance(mesh)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield from _hands_in(np.asarray(small, np.uint8), mesh * scale)


def _hands_in(image: RgbImage, mesh: Landmarks) -> Iterator[tuple[RgbImage, Array]]:
    skin = _like_the_face(image, mesh)
    middle = mesh.mean(0)
    skin[: int(mesh[CHIN, 1] + BELOW_CHIN * EYES_PX)] = 0
    skin[:, : max(0, int(middle[0] - ASIDE * EYES_PX))] = 0
    skin[:, int(middle[0] + ASIDE * EYES_PX) :] = 0

    alike = skin > 0
    # Shaded fingers leave gaps and holes, which belong to the hand.
    skin = cv2.morphologyEx(skin, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(skin, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    skin = cv2.drawContours(np.zeros_like(skin), outlines, -1, 1, cv2.FILLED)
    skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, names, boxes, centres = cv2.connectedComponentsWithStats(skin)

    for name in range(1, len(boxes)):
        _, _, width, height, area = boxes[name]
        big_enough = AREA[0] < area / EYES_PX**2 < AREA[1]

        is_skin = alike[names == name].mean() > ALIKE

        if big_enough and is_skin and area > SOLID * width * height and max(width, height) < SIDE:
            yield _cut(image, (names == name).astype(np.uint8), centres[name])


def _like_the_face(image: RgbImage, mesh: Landmarks) -> Array:
    colours = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 0.8), cv2.COLOR_RGB2YCrCb)
    colours = colours.astype(np.float32)
    at = np.clip(np.round(mesh[list(CHEEKS_AND_FOREHEAD)]).astype(int), 0, None)
    face = np.median(colours[at[:, 1], at[:, 0]], axis=0)
    off = np.linalg.norm(colours[..., 1:] - face[1:], axis=2)
    luma = colours[..., 0] / max(float(face[0]), 1)
    alike = (off < CHROMA_SPREAD) & (luma > DARKEST) & (luma < BRIGHTEST)

    return np.asarray(alike, np.uint8)


def _cut(image: RgbImage, part: Array, centre: Array) -> tuple[RgbImage, Array]:
    to_cut = np.array([[1, 0, SIDE / 2 - centre[0]], [0, 1, SIDE / 2 - centre[1]]])
    soft = cv2.GaussianBlur(part * np.float32(255), (0, 0), EDGE_PX)
    # The pixels just outside are the background's: the hand's own are grown over them.
    inner = cv2.erode(part, np.ones((3, 3), np.uint8)).astype(np.float32)
    grown = cv2.GaussianBlur(image * inner[..., None], (0, 0), 1.5)
    near = cv2.GaussianBlur(inner, (0, 0), 1.5)[..., None]
    own = np.where(inner[..., None] > 0, image, grown / np.maximum(near, 1e-3))
    own = np.clip(own, 0, 255).astype(np.uint8)

    pixels = cv2.warpAffine(own, to_cut, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(soft.astype(np.uint8), to_cut, (SIDE, SIDE))
    return np.asarray(pixels, np.uint8), np.asarray(alpha, np.uint8)
