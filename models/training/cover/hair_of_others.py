"""Another person's hair on a face: fringes, partings and strands at the temples as photographs
have them, which drawn ones are not like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.inference.painting.face_guide import face_hull
from models.training.cover.canvas import Generator

Array = NDArray[Any]

# Hair line, temples, ears and brows: hair hangs from the first and lies beside the others.
FITTED = (10, 67, 297, 54, 284, 127, 356, 234, 454, 105, 334)
HALF = 127  # of a hull's levels
REACH_PX = 13  # of 144
EDGE_PX = 0.8
UNSURE_FROM = 0.05  # of hair: where none of the other's is, nothing of theirs is unsure
TONES = (0.6, 1.3)


@dataclass(frozen=True)
class Head:
    """A face with its own hair: image uint8 [n, n, 3], mesh [468, 2] in its pixels, hair and
    unsure float32 [n, n] as `Faces` has them.
    """

    image: RgbImage
    mesh: Landmarks
    hair: Array
    unsure: Array


def given_hair(head: Head, other: Head, rng: Generator) -> tuple[RgbImage, Array, Array]:
    """Return a face with the hair of another person: image, hair and unsure.

    What surrounds the other's forehead comes along, so that the hair does not end at the face.
    """
    size = len(head.image)
    outside = face_hull(other.mesh, size) <= HALF
    above = np.arange(size)[:, None] < other.mesh[[33, 263, 152], 1].mean()
    # A fringe goes on past the mesh's outline, which is another one on this face.
    reach = cv2.dilate(other.hair, np.ones((REACH_PX, REACH_PX), np.uint8))
    hair = np.maximum(other.hair, reach * outside * above)
    around = (outside & above).astype(np.float32)

    to_head = _fitted(other.mesh[list(FITTED)], head.mesh[list(FITTED)])
    moved = _moved(np.stack([hair, other.unsure, around], -1), to_head)
    hair = cv2.GaussianBlur(moved[..., 0], (0, 0), EDGE_PX)
    beside = cv2.GaussianBlur(moved[..., 2], (0, 0), EDGE_PX) * (face_hull(head.mesh, size) <= HALF)
    taken = np.maximum(hair, beside)[..., None]

    toned = _moved(other.image, to_head) * np.float32(rng.uniform(*TONES))
    mixed = head.image * (1 - taken) + toned * taken
    hidden = 1 - hair
    unsure = np.maximum(head.unsure * hidden, moved[..., 1] * (hair > UNSURE_FROM))

    return (
        np.clip(mixed, 0, 255).astype(np.uint8),
        np.maximum(head.hair * hidden, hair),
        np.asarray(unsure, np.float32),
    )


def _fitted(points: Landmarks, wanted: Landmarks) -> Array:
    """Return the affine matrix that brings points nearest to where they are wanted."""
    known = np.column_stack([points, np.ones(len(points))])
    return np.asarray(np.linalg.lstsq(known, wanted, rcond=None)[0].T)


def _moved(image: Array, matrix: Array) -> Array:
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
