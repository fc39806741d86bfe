"""The bank of composite target faces that every identity is refined on; it ships with the code (see bank/NOTICE.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.alignment import TEMPLATE_SIZE, align, compose, transform
from models.inference.arrays import Affine, Landmarks, RgbImage
from models.inference.face_mesh import FaceMesh, RegionOfInterest
from models.inference.still_frame import StillFrame

BANK = Path(__file__).parent / "bank"
FIRST_LOOK = RegionOfInterest(x=144, y=178, side=270, angle=0)  # where the mesh of these crops is, give or take
LOOKS = 3

TURN_DEG = 6.0
ZOOM = 0.07
SHIFT_PX = 4.0
GAIN = 0.15


@dataclass(frozen=True)
class Target:
    """One swap crop and its mesh in the crop's pixels."""

    crop: RgbImage
    mesh: Landmarks


@dataclass(frozen=True)
class TargetBank:
    """Target faces with a margin around them: pictures uint8 RGB [288, 288, 3], meshes and fits in their pixels."""

    pictures: tuple[RgbImage, ...]
    meshes: tuple[Landmarks, ...]
    fits: tuple[Affine, ...]

    @classmethod
    def load(cls, face_mesh: FaceMesh, template_shift: tuple[float, float], folder: Path = BANK) -> TargetBank:
        """Read the bank and its mirror image and find their meshes: 372 faces, a few seconds."""
        pictures: list[RgbImage] = []
        for path in sorted(folder.glob("bank_*.jpg")):
            picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            pictures += [picture, np.ascontiguousarray(picture[:, ::-1])]
        meshes = tuple(_mesh(face_mesh, picture) for picture in pictures)
        return cls(tuple(pictures), meshes, tuple(_fit(mesh, template_shift) for mesh in meshes))

    def __len__(self) -> int:
        return len(self.pictures)

    def target(self, index: int, change: Affine | None = None) -> Target:
        """Return a face as the engine would crop it, or with that crop changed by a further mapping."""
        fit = self.fits[index] if change is None else compose(change, self.fits[index])
        size = (TEMPLATE_SIZE, TEMPLATE_SIZE)
        crop = cv2.warpAffine(self.pictures[index], fit, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return Target(np.asarray(crop), transform(self.meshes[index], fit))

    def draw(self, rng: np.random.Generator) -> Target:
        """Return a random face, a little turned, scaled, shifted and tinted."""
        target = self.target(int(rng.integers(len(self))), _jitter(rng))
        gain = rng.uniform(1 - GAIN, 1 + GAIN, 3)
        return Target(np.clip(target.crop * gain, 0, 255).astype(np.uint8), target.mesh)


def _mesh(face_mesh: FaceMesh, picture: RgbImage) -> Landmarks:
    frame, region = StillFrame(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)), FIRST_LOOK
    for _ in range(LOOKS):
        face = face_mesh.look(frame, region)
        region = RegionOfInterest.of_landmarks(face.landmarks)
    return face.landmarks


def _fit(mesh: Landmarks, shift: tuple[float, float]) -> Affine:
    fit = align(mesh, "similarity")
    fit[:, 2] += shift
    return fit


def _jitter(rng: np.random.Generator) -> NDArray[np.float64]:
    centre = (TEMPLATE_SIZE / 2, TEMPLATE_SIZE / 2)
    change = cv2.getRotationMatrix2D(centre, rng.uniform(-TURN_DEG, TURN_DEG), rng.uniform(1 - ZOOM, 1 + ZOOM))
    change[:, 2] += rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    return np.asarray(change, np.float64)
