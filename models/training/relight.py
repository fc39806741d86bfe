"""Other light for a texture: what any photo brings along, and the network is to take away again.

Shading is first-order in the mesh's normals and leans on second-order terms a little (spherical
harmonics: Ramamoorthi and Hanrahan, SIGGRAPH 2001, which nine numbers describe to 1 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import RgbImage
from models.inference.texture.canonical_shape import SIZE
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.triangle_raster import Raster

Array = NDArray[Any]
Generator = np.random.Generator

SLANT = 0.3  # spread of the linear terms, in natural logarithms of light
BEND = 0.08  # of the quadratic ones
CAST = 0.08  # of each channel
CONTRAST = 0.15
SMOOTH_PX = 6.0  # the canonical mesh is coarse: its facets must not show


@dataclass(frozen=True)
class Relighting:
    """Draws lights for canonical textures, uint8 [224, 224, 3]."""

    canonical: CanonicalFace

    def relit(self, texture: RgbImage, rng: Generator) -> RgbImage:
        """Return the texture in random other light: its direction, colour and contrast."""
        x, y, z = np.moveaxis(self._normals, -1, 0)
        terms = np.stack([x, y, x * y, x * z, y * z, x * x - y * y], -1)
        spread = np.array([SLANT, SLANT, BEND, BEND, BEND, BEND])
        light = terms @ (rng.normal(0, 1, 6) * spread)
        light = light[..., None] + rng.normal(0, CAST, 3)

        linear = (texture / np.float32(255)) ** np.float32(2.2)
        linear *= np.exp(light - light.mean()).astype(np.float32)
        coded = np.clip(linear, 0, 1) ** np.float32(1 / 2.2)
        middle = coded.mean((0, 1))
        coded = middle + (coded - middle) * np.float32(rng.normal(1, CONTRAST))

        return np.asarray(np.clip(coded * 255 + 0.5, 0, 255), np.uint8)

    @cached_property
    def _normals(self) -> Array:
        """Unit normals at every texel, towards the viewer: float32 [224, 224, 3]."""
        mesh = self.canonical.mesh * [1, 1, -1]  # its depth points away from the viewer
        a, b, c = (mesh[self.canonical.triangles[:, i]] for i in range(3))
        faces = np.cross(b - a, c - a)
        faces *= np.sign(faces[:, 2:] + 1e-9)
        points = np.zeros_like(mesh)

        for corner in range(3):
            np.add.at(points, self.canonical.triangles[:, corner], faces)

        positions = self.canonical.mesh[:, :2] * self.canonical.scale + self.canonical.offset
        raster = Raster.of(positions.astype(np.float32), self.canonical.triangles, SIZE)
        drawn = raster.interpolate(points, self.canonical.triangles).astype(np.float32)
        smooth = cv2.GaussianBlur(drawn, (0, 0), SMOOTH_PX)
        length = np.linalg.norm(smooth, axis=-1, keepdims=True)

        return np.where(length > 1e-6, smooth / np.maximum(length, 1e-6), [0, 0, 1])
