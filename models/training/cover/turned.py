"""Faces turned to the side: a portrait's own mesh, given the canonical face's depth, is turned and
drawn again. Portraits look at the camera, videos do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.inference.frames.affine import transform
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.triangle_raster import NOWHERE, rasterise
from models.training.cover.canvas import Generator
from models.training.dataset import swap_crop_matrix

Array = NDArray[Any]

YAW_DEG = (18.0, 55.0)
PITCH_DEG = 14.0
_NO_MAP: Any = None  # cv2.remap takes both maps as one; OpenCV 5 would read an empty second one
BEHIND_PX = 9.0  # of 144: how far hair and background are blurred where the turned head left them


@dataclass(frozen=True)
class Turned:
    """A face turned about: image uint8 [n, n, 3], mesh [468, 2] in its pixels, and where each of
    its pixels was in the portrait, float32 [n, n, 2].
    """

    image: RgbImage
    mesh: Landmarks
    origin: Array


def turn(
    canonical: CanonicalFace,
    image: RgbImage,
    mesh: Landmarks,
    to_side: Array,
    rng: Generator,
) -> Turned:
    """Return the face turned by a random angle and aligned anew.

    `mesh` is in the image's pixels; `to_side` maps a swap crop to such an image.
    """
    size = len(image)
    turned = _turned_mesh(canonical, mesh, rng)
    aligned = transform(turned, swap_crop_matrix(turned))
    turned = transform(aligned, to_side)

    drawn = rasterise(turned, canonical.triangles, mesh, size)
    missing = drawn[..., 0] < NOWHERE / 2
    origin = np.where(missing[..., None], 0, drawn).astype(np.float32)
    face = cv2.remap(image, origin, _NO_MAP, cv2.INTER_LINEAR)

    there = cv2.GaussianBlur((~missing).astype(np.float32), (0, 0), 0.8)[..., None]
    behind = _behind(image, mesh, turned)
    mixed = behind + (face.astype(np.float32) - behind) * there
    origin[missing] = -1

    return Turned(np.asarray(mixed + 0.5, np.uint8), np.asarray(turned, np.float32), origin)


def carried(plane: Array, turned: Turned) -> Array:
    """Return a portrait's label on the turned face."""
    moved = cv2.remap(plane, turned.origin, _NO_MAP, cv2.INTER_NEAREST)
    return np.asarray(moved)


def _turned_mesh(canonical: CanonicalFace, mesh: Landmarks, rng: Generator) -> Array:
    """By orthographic projection; depth is the canonical face's, at this face's size."""
    yaw = np.radians(rng.uniform(*YAW_DEG)) * rng.choice((-1, 1))
    pitch = np.radians(rng.uniform(-PITCH_DEG, PITCH_DEG))
    scale = np.std(mesh, axis=0).mean() / np.std(canonical.mesh[:, :2], axis=0).mean()
    depth = (canonical.mesh[:, 2] - canonical.mesh[:, 2].mean()) * scale
    centre = mesh.mean(0)
    x, y = (mesh - centre).T

    across = x * np.cos(yaw) - depth * np.sin(yaw)
    away = x * np.sin(yaw) + depth * np.cos(yaw)
    down = y * np.cos(pitch) - away * np.sin(pitch)

    return np.asarray(np.stack([across, down], 1) + centre, np.float32)


def _behind(image: RgbImage, mesh: Landmarks, turned: Landmarks) -> Array:
    """Return what is beside the turned face: the portrait's surroundings, stretched and blurred."""
    from_points = np.asarray([mesh[10], mesh[152], mesh[234]], np.float32)
    to_points = np.asarray([turned[10], turned[152], turned[234]], np.float32)
    moved = cv2.warpAffine(
        image,
        cv2.getAffineTransform(from_points, to_points),
        image.shape[1::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )

    return cv2.GaussianBlur(moved, (0, 0), BEHIND_PX / 4).astype(np.float32)
