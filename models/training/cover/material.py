"""The material of the cover network: faces with nothing in front, with labels of their own hair,
and hands; written once to `var/training/cover` (`models.training.cover.prepare`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.frames.affine import compose, transform
from models.inference.texture.face_texture import CanonicalFace
from models.training.cover.hair_labels import label_hair
from models.training.cover.occluders import Hands
from models.training.cover.turned import carried, turn
from models.training.dataset import CANONICAL, FaceSet, warp

Array = NDArray[Any]

SIDE = 144  # the swap crop and 32 px around it, at half its scale
TO_SIDE = np.array([[0.5, 0, 16], [0, 0.5, 16.0]])
TURNED = 450  # portraits
WITHOUT_GLASSES = ("london", "bank")  # sets whose people took theirs off


@dataclass(frozen=True)
class Faces:
    """Faces with nothing in front, one row each.

    images uint8 [n, 144, 144, 3] RGB; meshes float32 [n, 468, 2] in their pixels; hair, unsure
    uint8 [n, 144, 144] of 0 and 1: own hair over the face, and where that is in doubt; moving
    and bare bool [n]: from a clip or turned to the side, and known to wear no glasses.
    """

    images: Array
    meshes: Array
    hair: Array
    unsure: Array
    moving: Array
    bare: Array


@dataclass(frozen=True)
class ClipFaces:
    """Faces of clips: images, meshes and bare as those of `Faces`."""

    images: Array
    meshes: Array
    bare: Array


def load(folder: Path) -> tuple[Faces, Hands]:
    """Return what `prepare` wrote. Raises FileNotFoundError when it has not been run."""
    with np.load(folder / "faces.npz") as faces, np.load(folder / "hands.npz") as hands:
        return Faces(**dict(faces)), Hands(**dict(hands))


def assemble(portraits: FaceSet, clips: ClipFaces) -> Faces:
    """Return the portraits of the training split, the faces of clips, and portraits turned."""
    canonical = CanonicalFace.load(CANONICAL)
    half = len(portraits.persons) // 2
    rows = portraits.training_rows[portraits.training_rows < half]
    rows = rows[portraits.origins[rows] != "clips"]  # of those there are more in `clips`
    images = [
        warp(portraits.crops[row], compose(TO_SIDE, portraits.to_crop[row]), SIDE) for row in rows
    ]
    images += list(clips.images)
    meshes = [transform(portraits.meshes[row], TO_SIDE) for row in rows] + list(clips.meshes)
    bare = [portraits.origins[row] in WITHOUT_GLASSES for row in rows] + list(clips.bare)

    labels = [label_hair(image, mesh) for image, mesh in zip(images, meshes, strict=True)]
    rng = np.random.default_rng(0)

    for index in rng.choice(len(rows), min(TURNED, len(rows)), replace=False):
        turned = turn(canonical, images[index], meshes[index], TO_SIDE, rng)
        images.append(turned.image)
        meshes.append(turned.mesh)
        bare.append(bare[index])
        labels.append((carried(labels[index][0], turned), carried(labels[index][1], turned)))

    return Faces(
        images=np.stack(images),
        meshes=np.stack(meshes).astype(np.float32),
        hair=np.stack([hair for hair, _ in labels]),
        unsure=np.stack([unsure for _, unsure in labels]),
        moving=np.arange(len(images)) >= len(rows),  # the turned ones count with the clips
        bare=np.array(bare),
    )
