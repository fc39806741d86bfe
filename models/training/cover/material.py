"""The material of the cover network, prepared once: `python -m models.training.cover.material`.

Faces of the training split and frames of clips in which nothing is in front, with labels of their
own hair, and hands cut from clips; written to `var/training/cover`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import compose, transform
from models.inference.texture.face_texture import CanonicalFace
from models.packs.store import load_pack
from models.training.cover.hair_labels import label_hair
from models.training.cover.hands import cut_hands
from models.training.cover.occluders import Hands
from models.training.cover.turned import carried, turn
from models.training.dataset import CANONICAL, FaceSet, swap_crop_matrix, warp
from models.training.material.clips import OPEN_CLIPS, clip_of, faces_of

Array = NDArray[Any]

SIDE = 144  # the swap crop and 32 px around it, at half its scale
TO_SIDE = np.array([[0.5, 0, 16], [0, 0.5, 16.0]])
# Clips whose hands stay below the face.
HAND_CLIPS = ("again", "night", "no", "want", "hungry", "student", "sister", "yes")
CLIP_EVERY = 2  # frames
TURNED = 450  # portraits
WITH_GLASSES = ("want", "hungry")
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


def load(folder: Path) -> tuple[Faces, Hands]:
    """Return what `prepare` wrote. Raises FileNotFoundError when it has not been run."""
    with np.load(folder / "faces.npz") as faces, np.load(folder / "hands.npz") as hands:
        return Faces(**dict(faces)), Hands(**dict(hands))


def prepare(engine: FaceSwapEngine, portraits: FaceSet, folder: Path) -> None:
    """Write faces.npz and hands.npz from the prepared portraits and the clips."""
    canonical = CanonicalFace.load(CANONICAL)
    half = len(portraits.persons) // 2
    rows = portraits.training_rows[portraits.training_rows < half]
    rows = rows[portraits.origins[rows] != "clips"]  # they come below, more of them
    images = [
        warp(portraits.crops[row], compose(TO_SIDE, portraits.to_crop[row]), SIDE) for row in rows
    ]
    meshes = [transform(portraits.meshes[row], TO_SIDE) for row in rows]
    bare = [portraits.origins[row] in WITHOUT_GLASSES for row in rows]

    for name in OPEN_CLIPS:
        for frame, mesh in faces_of(engine, clip_of(name), CLIP_EVERY):
            to_side = compose(TO_SIDE, swap_crop_matrix(mesh))
            images.append(warp(frame, to_side, SIDE))
            meshes.append(transform(mesh, to_side))
            bare.append(name not in WITH_GLASSES)

    labels = [label_hair(image, mesh) for image, mesh in zip(images, meshes, strict=True)]
    rng = np.random.default_rng(0)

    for index in rng.choice(len(rows), min(TURNED, len(rows)), replace=False):
        turned = turn(canonical, images[index], meshes[index], TO_SIDE, rng)
        images.append(turned.image)
        meshes.append(turned.mesh)
        bare.append(bare[index])
        labels.append((carried(labels[index][0], turned), carried(labels[index][1], turned)))

    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "faces.npz",
        images=np.stack(images),
        meshes=np.stack(meshes).astype(np.float32),
        hair=np.stack([hair for hair, _ in labels]),
        unsure=np.stack([unsure for _, unsure in labels]),
        moving=np.arange(len(images)) >= len(rows),  # the turned ones count with the clips
        bare=np.array(bare),
    )

    hands = [cut for name in HAND_CLIPS for cut in cut_hands(engine, clip_of(name))]
    np.savez(
        folder / "hands.npz",
        pixels=np.stack([pixels for pixels, _ in hands]),
        alpha=np.stack([alpha for _, alpha in hands]),
    )


def main() -> None:
    """Prepare the material from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=Path, default=Path("var/packs"))
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    chosen = parser.parse_args()
    cv2.setNumThreads(1)

    engine = FaceSwapEngine.load(load_pack("open", chosen.packs), device="cpu")
    portraits = FaceSet.load(chosen.folder / "faces")
    prepare(engine, portraits, chosen.folder / "cover")


if __name__ == "__main__":
    main()
