"""The training material as `models.training.material.prepare` wrote it, and its crops' geometry.

Rows n..2n-1 are the mirror images of rows 0..n-1.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE, align
from models.inference.finding.face_mesh import FaceMesh, RegionOfInterest
from models.inference.frames.affine import compose, invert, transform
from models.inference.frames.image_frame import ImageFrame

log = logging.getLogger(__name__)

Array = NDArray[Any]

MARGIN = 32  # around the template: room to turn, scale and move a face in training
CANVAS = TEMPLATE_SIZE + 2 * MARGIN  # px, the side of a crop file
# The open pack's swap crop lies lower than ArcFace's, so that the chin is in it.
SWAP_SHIFT = (0.0, -28.0)
FACE_REGION = RegionOfInterest(144, 178, 270, 0)  # where every crop file shows its face
CHIP_SIZE = 150  # px, the side of the crop that dlib's network was trained on
# docs/method.md 9: from an ArcFace crop of 112 px to dlib's chip; here from the 224 px template.
CHIP_OF_TEMPLATE: Affine = np.array(
    [[1.5004 / 2, -0.0317 / 2, -6.8207], [0.0317 / 2, 1.5004 / 2, -34.6448]], np.float64
)
BANK = Path(__file__).parents[1] / "refinement" / "bank"
CANONICAL = Path(__file__).parents[1] / "packs" / "open" / "canonical_face.npz"

ARRAYS = ("crops", "meshes", "to_crop", "textures", "weights", "embeddings", "sharpness")


def shared_folder() -> Path:
    """Return the folder with the measuring material: $LIKENESS_SHARED, or `shared` beside the
    checkout.
    """
    return Path(os.environ.get("LIKENESS_SHARED", Path(__file__).parents[3] / "shared"))


def swap_crop_matrix(mesh: Landmarks) -> Affine:
    """Return the matrix from an image to the open pack's 224 px swap crop of the face with this
    mesh.
    """
    matrix = align(mesh, "similarity")
    matrix[:, 2] += SWAP_SHIFT
    return matrix


def chip_matrix(mesh: Landmarks) -> Affine:
    """Return the matrix from an image to dlib's 150 px chip of the face with this mesh."""
    return compose(CHIP_OF_TEMPLATE, align(mesh, "similarity"))


@dataclass(frozen=True)
class FaceSet:
    """Prepared faces, one row each, mirrored ones behind.

    crops uint8 [2n, 288, 288, 3] RGB; meshes float32 [2n, 468, 2] in the swap crop; to_crop [2n, 2,
    3] from crop file to swap crop; textures uint8 [2n, 224, 224, 3]; weights [2n]: share of texels
    seen frontally; embeddings float32 [2n, 128] centred by `embedding_mean`, L2 norm 1; yaws [2n]
    degrees; persons, origins, splits str [2n].
    """

    crops: Array
    meshes: Array
    to_crop: Array
    textures: Array
    weights: Array
    embeddings: Array
    sharpness: Array
    embedding_mean: Array
    yaws: Array
    openings: Array
    persons: Array
    origins: Array
    splits: Array

    @classmethod
    def load(cls, folder: Path) -> FaceSet:
        """Map the arrays `prepare` wrote. Raises FileNotFoundError when it has not been run."""
        # Two arrays of gigabytes stay on disk and are mapped; the others are small.
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("crops", "textures")
        }
        arrays |= {name: np.load(folder / f"{name}.npy") for name in ARRAYS if name not in arrays}

        with np.load(folder / "labels.npz", allow_pickle=False) as labels:
            return cls(**arrays, **dict(labels))

    @cached_property
    def rows_of(self) -> dict[str, NDArray[np.intp]]:
        """Person -> rows, mirrored ones included."""
        return {
            str(person): np.flatnonzero(self.persons == person)
            for person in np.unique(self.persons)
        }

    @property
    def training_rows(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.splits == "train")

    @property
    def evaluation_rows(self) -> NDArray[np.intp]:
        """Rows that are never trained on, without their mirror images."""
        rows = np.flatnonzero(self.splits == "eval")
        return rows[rows < len(self.persons) // 2]

    def swap_crop(self, row: int, change: Affine | None = None) -> RgbImage:
        """Return a face's 224 px swap crop, moved by `change` (crop to crop) if there is one."""
        matrix = self.to_crop[row] if change is None else compose(change, self.to_crop[row])
        return warp(self.crops[row], matrix, TEMPLATE_SIZE)


def warp(image: RgbImage, matrix: Affine, size: int) -> RgbImage:
    """Return the size x size crop that `matrix` maps an image to.

    Its edge is continued outwards.
    """
    moved = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def read_rgb(path: Path) -> RgbImage:
    """Return an image file as RGB. Raises FileNotFoundError when it is missing or no image."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def mesh_in(network: FaceMesh, crop: RgbImage) -> Landmarks:
    """Return the mesh of the face in a 288 px crop file, in its pixels."""
    frame = ImageFrame(np.ascontiguousarray(crop[..., ::-1]))
    region = FACE_REGION

    # Three looks: each centres the region better, as tracking does from frame to frame.
    for _ in range(2):
        region = RegionOfInterest.of_landmarks(network.look(frame, region).landmarks)

    return network.look(frame, region).landmarks


def centred(embeddings: Array, mean: Array | float = 0.0) -> Array:
    """Return embeddings [n, D] minus the training mean, each of L2 norm one."""
    moved = embeddings - mean
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True), np.float32)


def mouth_height(mesh: Landmarks) -> float:
    """Return how far the inner lips stand apart, in pixels."""
    # 13 and 14 are the middles of the upper and the lower inner lip.
    return float(np.linalg.norm(mesh[13] - mesh[14]))


def to_canvas(mesh: Landmarks, to_crop: Affine) -> Landmarks:
    """Return a swap-crop mesh in pixels of the crop file."""
    return transform(mesh, invert(to_crop))
