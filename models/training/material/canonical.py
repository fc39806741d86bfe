"""Builds the canonical face that all textures are drawn on.

Run as `python -m models.training.material.canonical --out <file>`.

Textures and weights belong to the canonical face they were made with: replacing the committed one
means preparing the training material and training again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from models.inference.arrays import RgbImage, to_network
from models.inference.finding.alignment import align
from models.inference.finding.face_mesh import INPUT_SIZE, LANDMARKS, FaceMesh, RegionOfInterest
from models.inference.frames.affine import scale_of, transform
from models.inference.frames.image_frame import ImageFrame
from models.inference.session import SessionFactory
from models.inference.texture.canonical_shape import SIZE
from models.inference.texture.triangle_raster import facing_ratio
from models.training.dataset import SWAP_SHIFT, mesh_in, read_rgb, shared_folder, swap_crop_matrix
from models.training.material.prepare import portraits

Array = NDArray[Any]

TEXTURE_PX = 212  # the mesh's longer side; the rest is margin for interpolation
FOREHEAD = 10  # the mesh's topmost point
FEATHER_PX = 7.0
FOREHEAD_FADE_PX = 10.0  # the mesh ends at the hair line, or in the fringe


def build(network: FaceMesh, crops: list[RgbImage]) -> dict[str, Array]:
    """Return the arrays of a `CanonicalFace` file from 288 px crop files, each looked at with its
    mirror image.
    """
    meshes = [
        _mesh_with_depth(network, image)
        for crop in crops
        for image in (crop, np.ascontiguousarray(crop[:, ::-1]))
    ]

    mesh = _symmetric(np.median(meshes, axis=0))
    low = mesh[:, :2].min(0)
    high = mesh[:, :2].max(0)
    scale = TEXTURE_PX / float((high - low).max())
    offset = (SIZE - 1) / 2 - (low + high) / 2 * scale

    return {
        "mesh": mesh.astype(np.float32),
        "triangles": _triangles(mesh),
        "mask": _mask(mesh[:, :2] * scale + offset),
        "scale": np.asarray(scale, np.float32),
        "offset": offset.astype(np.float32),
        "crop_shift": np.asarray(SWAP_SHIFT, np.float32),
    }


def _mesh_with_depth(network: FaceMesh, crop: RgbImage) -> Array:
    """Return [468, 3] in the swap crop; depth in the same unit, away from the viewer."""
    flat = mesh_in(network, crop)
    region = RegionOfInterest.of_landmarks(flat)
    frame = ImageFrame(np.ascontiguousarray(crop[..., ::-1]))
    seen = network.network(to_network(frame.rgb_crop(region.to_crop(), INPUT_SIZE)))["landmarks"]
    to_crop = swap_crop_matrix(flat)
    depth = (
        seen.reshape(LANDMARKS, 3)[:, 2]
        / scale_of(region.to_crop())
        * scale_of(align(flat, "similarity"))
    )

    return np.column_stack([transform(flat, to_crop), depth])


def _symmetric(mesh: Array) -> Array:
    """Return the mesh and its mirror image averaged, each point with the one that lies where its
    own image does.
    """
    centre = (mesh[:, 0].min() + mesh[:, 0].max()) / 2
    mirrored = mesh * [-1, 1, 1] + [2 * centre, 0, 0]
    partner = ((mesh[:, None] - mirrored[None]) ** 2).sum(-1).argmin(1)

    if len(set(partner.tolist())) != len(mesh):
        raise ValueError("the median mesh is too lopsided to be mirrored")

    return np.asarray((mesh + mirrored[partner]) / 2)


def _triangles(mesh: Array) -> NDArray[np.int32]:
    triangles = Delaunay(mesh[:, :2]).simplices
    behind = facing_ratio(mesh[:, :2], triangles) < 0
    triangles[behind] = triangles[behind][:, ::-1]
    far_first = np.argsort(-mesh[triangles][:, :, 2].mean(1))
    return np.asarray(triangles[far_first], np.int32)


def _mask(points: Array) -> NDArray[np.uint8]:
    """Return the mesh's hull in canonical pixels, feathered inwards, its forehead faded."""
    hull = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(
        hull, np.round(cv2.convexHull(points.astype(np.float32)) * 16).astype(np.int32), 1, shift=4
    )
    inwards = cv2.distanceTransform(hull, cv2.DIST_L2, 5) / FEATHER_PX
    below = (np.arange(SIZE) - points[FOREHEAD, 1]) / FOREHEAD_FADE_PX
    ramp = np.clip(np.minimum(inwards, below[:, None]), 0, 1)
    smooth = (ramp * ramp * (3 - 2 * ramp) * 255).astype(np.uint8)

    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), 1.5), np.uint8)


def main() -> None:
    """Build the canonical face from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=Path, default=Path("var/packs/open"))
    parser.add_argument("--out", type=Path, required=True)
    found = parser.parse_args()
    network = FaceMesh(SessionFactory("cpu", 2).open(found.graphs / "face_mesh.onnx"))
    crops = [read_rgb(face.file) for face in portraits(shared_folder()) if face.split == "train"]
    arrays: dict[str, Any] = build(network, crops)
    np.savez(found.out, **arrays)


if __name__ == "__main__":
    main()
