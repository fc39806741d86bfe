"""The bank of composite target faces that every identity is refined on.

It ships with the code (see bank/NOTICE.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.inference.arrays import Affine, Landmarks, RgbImage
from models.inference.finding.face_mesh import FaceMesh
from models.inference.frames.affine import compose, transform
from models.inference.texture.canonical_shape import SIZE
from models.training.dataset import BANK, mesh_in, swap_crop_matrix, warp
from models.training.pairs import GAIN, random_change


@dataclass(frozen=True)
class Target:
    """One swap crop and its mesh in the crop's pixels."""

    crop: RgbImage
    mesh: Landmarks


@dataclass(frozen=True)
class TargetBank:
    """Target faces with a margin around them: crop files uint8 RGB [288, 288, 3], and meshes in
    their pixels.
    """

    files: tuple[RgbImage, ...]
    meshes: tuple[Landmarks, ...]

    @classmethod
    def load(cls, network: FaceMesh, folder: Path = BANK) -> TargetBank:
        """Read the bank and its mirror image and find their meshes: 372 faces, about five
        seconds.
        """
        files = tuple(
            # In the order of their names: index k is the same face on every machine.
            file
            for path in sorted(folder.glob("bank_*.jpg"))
            for file in _with_mirror(path)
        )
        return cls(files, tuple(mesh_in(network, file) for file in files))

    def target(self, index: int, change: Affine | None = None) -> Target:
        """Return a face as the engine would crop it, moved by `change` (crop to crop) if there is
        one.
        """
        # Meshes are found once for the whole file; crops that are moved take theirs along.
        to_crop = swap_crop_matrix(self.meshes[index])
        to_crop = to_crop if change is None else compose(change, to_crop)
        return Target(
            warp(self.files[index], to_crop, SIZE), transform(self.meshes[index], to_crop)
        )

    def draw(self, rng: np.random.Generator, first: int = 0) -> Target:
        """Return one of the faces from `first` on, a little turned, scaled, shifted and tinted."""
        target = self.target(int(rng.integers(first, len(self.files))), random_change(rng))
        # Each channel by itself: a cast of colour as well as a change of exposure.
        gain = rng.uniform(1 - GAIN, 1 + GAIN, 3)
        return Target(np.clip(target.crop * gain + 0.5, 0, 255).astype(np.uint8), target.mesh)


def _with_mirror(path: Path) -> tuple[RgbImage, RgbImage]:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)  # type: ignore[arg-type]
    return np.asarray(image, np.uint8), np.ascontiguousarray(image[:, ::-1], np.uint8)
