"""Reads a face from outside the engine: its mesh, its lids and its irises.

The iris network sees lids, which the face mesh does not: before, during and after a blink the mesh
reads the same opening. The engine uses the same network, so what it says is also looked at by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.realism.material import engine, pack
from models.inference.arrays import Landmarks
from models.inference.finding.eyes.eye_axes import INNER, LOWER, OUTER, UPPER
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_mesh import RegionOfInterest
from models.inference.frames.frame import Frame
from models.inference.frames.i420 import I420Frame
from models.inference.mesh_points import OUTER_EYE_CORNERS
from models.inference.session import SessionFactory


@dataclass(frozen=True)
class Eyes:
    """Both eyes of a face in frame pixels: lids [2, 16, 2], irises [2, 5, 2] (centre first)."""

    lids: NDArray[np.float32]
    irises: NDArray[np.float32]


@cache
def iris_network() -> IrisNetwork:
    return IrisNetwork(SessionFactory("cpu", 1).open(pack().graph("iris")))


def mesh_at(frame: Frame, near: Landmarks) -> Landmarks:
    """Return the mesh of the face where `near` lies, looked at once.

    With its lips looked at closely: else one would not see how far a mouth opens.
    """
    return engine().video_mesh.look(frame, RegionOfInterest.of_landmarks(near)).landmarks


def mirror_mesh_at(frame: I420Frame, near: Landmarks) -> Landmarks:
    """Return the mesh of the same face as it is seen in a mirror, in the frame's own pixels.

    The network is not symmetric: it is a second look whose errors are others. Its points lie where
    the mirror shows them: the left brow's are on the right one.
    """
    mirrored = I420Frame(
        np.ascontiguousarray(frame.y[:, ::-1]),
        np.ascontiguousarray(frame.u[:, ::-1]),
        np.ascontiguousarray(frame.v[:, ::-1]),
        frame.matrix,
        frame.full_range,
    )
    there = _mirrored(near, frame.width)
    # What frames a face are its box and its eyes' outer corners, left and right.
    corners = list(OUTER_EYE_CORNERS)
    there[corners] = there[corners[::-1]]
    return _mirrored(mesh_at(mirrored, there), frame.width)


def _mirrored(points: Landmarks, width: int) -> Landmarks:
    across = points.copy()
    across[:, 0] = width - 1 - across[:, 0]
    return across


def eyes_at(frame: Frame, mesh: Landmarks) -> Eyes:
    """Return lids and irises of a face whose mesh is known."""
    pair = iris_network().look(frame, mesh)
    return Eyes(np.stack([eye.lids for eye in pair]), np.stack([eye.iris for eye in pair]))


def openings(lids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far eyes are open, as a share of their width: [..., 16, 2] gives [...]."""
    apart = np.linalg.norm(lids[..., LOWER, :] - lids[..., UPPER, :], axis=-1)
    gap = apart[..., 1:-1].mean(-1)  # at the corners lids always touch
    return np.asarray(gap / np.linalg.norm(lids[..., OUTER, :] - lids[..., INNER, :], axis=-1))


def gazes(lids: NDArray[np.float32], irises: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return where irises stand between the corners, right and down positive, in eye widths.

    [..., 2, 16, 2] and [..., 2, 5, 2] give [..., 2]: horizontal and vertical, mean of both eyes.
    """
    outer = lids[..., OUTER, :]
    inner = lids[..., INNER, :]
    along = inner - outer
    # Both eyes from left to right, though their inner corners lie on opposite sides.
    along = along * np.sign(along[..., :1])
    width = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / width
    down = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    offset = (irises[..., 0, :] - (outer + inner) / 2) / width
    both = np.stack([(offset * along).sum(-1), (offset * down).sum(-1)], axis=-1)

    return np.asarray(both.mean(axis=-2), np.float64)


def hull_mask(mesh: Landmarks, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where the hull of a mesh lies in an image of `shape`."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(mesh).astype(np.int32)), 1)
    return mask.astype(bool)


def eroded(mask: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Return the part of a 0/1 mask that lies more than `radius` px inside it."""
    # The image's border counts as outside, or a cut-off face would seem deep.
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(depth > radius, np.uint8)
