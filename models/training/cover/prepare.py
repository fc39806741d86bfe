"""Prepares the material of the cover network once: `python -m models.training.cover.prepare`.

Faces of the training split and frames of clips in which nothing is in front, and hands cut from
clips; written to `var/training/cover`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import compose, transform
from models.packs.store import load_pack
from models.training.cover.hands import cut_hands
from models.training.cover.material import SIDE, TO_SIDE, ClipFaces, assemble
from models.training.cover.occluders import Hands
from models.training.dataset import FaceSet, swap_crop_matrix, warp
from models.training.material.clips import OPEN_CLIPS, clip_of, faces_of

# Clips whose hands stay below the face; those in which one covers it are for measuring.
HAND_CLIPS = ("again", "night", "no", "want", "hungry", "student", "yes", "learn", "walk")
CLIP_EVERY = 2  # frames
WITH_GLASSES = ("want", "hungry")


def faces_of_clips(engine: FaceSwapEngine) -> ClipFaces:
    """Return the faces of the clips in which nothing is in front."""
    images = []
    meshes = []
    bare = []

    for name in OPEN_CLIPS:
        for frame, mesh in faces_of(engine, clip_of(name), CLIP_EVERY):
            to_side = compose(TO_SIDE, swap_crop_matrix(mesh))
            images.append(warp(frame, to_side, SIDE))
            meshes.append(transform(mesh, to_side))
            bare.append(name not in WITH_GLASSES)

    return ClipFaces(np.stack(images), np.stack(meshes), np.array(bare))


def hands_of_clips(engine: FaceSwapEngine) -> Hands:
    """Return hands cut from clips, all at the network's own scale."""
    hands = [cut for name in HAND_CLIPS for cut in cut_hands(engine, clip_of(name))]
    pixels = np.stack([pixels for pixels, _ in hands])
    return Hands(pixels, np.stack([alpha for _, alpha in hands]))


def main() -> None:
    """Prepare the material from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=Path, default=Path("var/packs"))
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    chosen = parser.parse_args()
    cv2.setNumThreads(1)

    engine = FaceSwapEngine.load(load_pack("open", chosen.packs), device="cpu")
    folder = chosen.folder / "cover"
    folder.mkdir(parents=True, exist_ok=True)
    faces = assemble(FaceSet.load(chosen.folder / "faces"), faces_of_clips(engine))
    np.savez(folder / "faces.npz", **asdict(faces))
    np.savez(folder / "hands.npz", **asdict(hands_of_clips(engine)))


if __name__ == "__main__":
    main()
