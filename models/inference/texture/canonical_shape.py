"""The median face's geometry: what poses, proportions and positions of other faces are told by.

All positions are pixels of the swap crop, 224 x 224, except where canonical pixels are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks
from models.inference.finding.alignment import TEMPLATE_SIZE, Fit, align
from models.inference.finding.eyes.eye_axes import INNER, OUTER
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.mesh_points import INNER_LIPS
from models.inference.texture.brows import Brows
from models.inference.texture.triangle_raster import Raster, facing_ratio

SIZE = TEMPLATE_SIZE

SHAPE_SHIFT = 1.0
MOST_KNOWN = 16  # identities whose proportions are kept
# of the eye's width: where the mesh moves with the lids
EYE_REACH = 1.25
EYE_FADE = 0.35
# of half the mouth's width and .8 of it down: the lips, and how far the cheeks move with them
LIP_REACH = (1.0, 0.8)
LIP_FADE = (1.3, 1.9)
# By how much further the corners of the mouth are moved than the mesh reads. Without it they are
# seen to move by .75 of what they do when a face is placed on a video of itself (of nine videos);
# with it, another's face moves them by .89 (41 videos).
LIP_GAIN = 0.6

Array = NDArray[Any]


@dataclass(frozen=True)
class CanonicalShape:
    """The face all textures are drawn on: the median mesh of the training set and what follows from
    it.

    Args:
        mesh: float32 [468, 3] in pixels of the swap crop, depth away from the viewer.
        triangles: int32 [T, 3], ordered from far to near, so that what is drawn last is what is
        seen.
        mask: uint8 [224, 224] in canonical pixels: the soft mask, its forehead cut below the hair
        line.
        scale, offset: canonical pixels = crop pixels * scale + offset.
        crop_shift: float32 [2], where the swap crop's template lies against ArcFace's: higher, for
        the chin.
    """

    mesh: NDArray[np.float32]
    triangles: NDArray[np.int32]
    mask: NDArray[np.uint8]
    scale: float
    offset: NDArray[np.float32]
    crop_shift: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the pack's canonical face.

        Raises `OSError` or `KeyError` when the file is not one.
        """
        with np.load(path, allow_pickle=False) as file:
            return cls(
                file["mesh"],
                file["triangles"],
                file["mask"],
                float(file["scale"]),
                file["offset"],
                file["crop_shift"],
            )

    def proportions(self, mesh: Landmarks) -> NDArray[np.float32]:
        """Return what sets a face apart from the canonical one once pose is taken out: float32
        [468, 2], crop pixels.

        The canonical mesh is seen through the affine camera that fits best; what remains is shape
        and expression.
        """
        camera = self.camera_fit @ mesh
        remainder = mesh - self.homogeneous @ camera
        return np.asarray(remainder @ np.linalg.inv(camera[:2]), np.float32)

    def yaw_deg(self, mesh: Landmarks) -> float:
        """Return an upright head's turn in degrees by the same camera.

        Negative towards the viewer's right.
        """
        camera = self.camera_fit @ mesh
        return float(np.degrees(np.arctan2(camera[2, 0], camera[0, 0])))

    def proportions_of_identity(self, mesh: Landmarks) -> NDArray[np.float32]:
        """Return the `proportions` of a mesh that stays the same from frame to frame."""
        key = mesh.tobytes()
        if key not in self._known:
            # As many as one job may name.
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self.proportions(mesh)

        return self._known[key]

    @cached_property
    def _known(self) -> dict[bytes, NDArray[np.float32]]:
        return {}

    def shape_shift(self, identity_mesh: Landmarks, target_proportions: Array) -> Array:
        difference = self.proportions_of_identity(identity_mesh) - target_proportions
        shift: Array = self.smoothing @ (difference * self.shift_weights[:, None])
        return shift * SHAPE_SHIFT

    def with_lips_moved(self, mesh: Landmarks, expression: Array) -> Landmarks:
        """Return a mesh whose mouth is as much wider or narrower than at rest as it looks.

        `expression` is float32 [468, 2]: how far its proportions are from those at rest. Lips that
        part need no such gain: what is between them is the target's.
        """
        wider = self.smoothing @ (expression[:, 0] * self.near_lips * LIP_GAIN)
        return np.asarray(mesh + np.outer(wider, (self.camera_fit[0] @ mesh)), np.float32)

    @cached_property
    def front(self) -> Array:
        return np.ascontiguousarray(self.mesh[:, :2])

    @cached_property
    def texels(self) -> Array:
        """Where each point of the mesh lies in a texture, float32 [468, 2]."""
        return np.asarray(self.front * self.scale + self.offset, np.float32)

    @cached_property
    def near_eyes(self) -> Array:
        """Per point: 1 up to the brows, 0 where the eyes are further than their own width."""
        near = np.zeros(len(self.front), np.float32)
        for lids in LIDS:
            eye = self.front[list(lids)]
            width = float(np.linalg.norm(eye[INNER] - eye[OUTER]))
            far = np.linalg.norm(self.front - eye.mean(0), axis=1) / width
            near = np.maximum(near, np.clip((EYE_REACH - far) / EYE_FADE, 0, 1))

        return near

    def swap_crop(self, landmarks: Landmarks, fit: Fit) -> Affine:
        """Return the matrix from a frame to the crop in which its faces are swapped."""
        to_crop = align(landmarks, fit)
        to_crop[:, 2] += self.crop_shift
        return to_crop

    @cached_property
    def brows(self) -> Brows:
        return Brows(self.front)

    @cached_property
    def near_lips(self) -> Array:
        """Per point: 1 on the lips and just around them, 0 further out on the cheeks."""
        half_width = abs(float(self.front[291, 0] - self.front[61, 0])) / 2
        apart = self.front - self.front[list(INNER_LIPS)].mean(0)
        far = np.linalg.norm(apart / (half_width * np.array(LIP_REACH)), axis=1)
        near = (LIP_FADE[1] - far) / (LIP_FADE[1] - LIP_FADE[0])
        return np.asarray(np.clip(near, 0, 1), np.float32)

    @cached_property
    def raster(self) -> Raster:
        return Raster.of(self.texels, self.triangles, SIZE)

    @cached_property
    def areas(self) -> Array:
        return np.maximum(facing_ratio(self.texels, self.triangles), 1e-3)

    @cached_property
    def outline(self) -> Array:
        return np.asarray(cv2.convexHull(self.front, returnPoints=False).ravel())

    @cached_property
    def triangles_and_rim(self) -> Array:
        count = len(self.outline)
        first = len(self.mesh)
        here = np.arange(count)
        after = (here + 1) % count
        inner = self.outline
        outer = first + here
        quads = [
            np.stack([inner, outer, inner[after]], 1),
            np.stack([outer, outer[after], inner[after]], 1),
        ]
        rim = np.concatenate(quads)
        flipped = facing_ratio(with_rim(self.front, self.outline), rim) < 0
        rim[flipped] = rim[flipped][:, ::-1]

        return np.concatenate([rim, self.triangles])

    @cached_property
    def homogeneous(self) -> Array:
        return np.column_stack([self.mesh, np.ones(len(self.mesh))]).astype(np.float32)

    @cached_property
    def camera_fit(self) -> Array:
        return np.asarray(np.linalg.pinv(self.homogeneous), np.float32)

    @cached_property
    def smoothing(self) -> Array:
        """A ridge-regularised radial basis: mesh noise of single points must not wrinkle the
        texture.
        """
        squared = ((self.front[:, None] - self.front[None]) ** 2).sum(-1)
        kernel = np.exp(-squared / (2 * 22.0**2))
        return np.asarray(kernel @ np.linalg.inv(kernel + 2.0 * np.eye(len(kernel))), np.float32)

    @cached_property
    def shift_weights(self) -> Array:
        """How much of an identity's own shape each point takes, float32 [468].

        0 on the outline, where the face must meet the head, and little at the mouth: expression
        stays.
        """
        points = self.front
        outline = cv2.convexHull(points)
        inside = np.array(
            [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points]
        )
        centre = points[list(INNER_LIPS)].mean(0)
        half_width = abs(float(points[291, 0] - points[61, 0])) / 2
        reach = np.linalg.norm((points - centre) / (half_width * np.array([1.5, 1.1])), axis=1)

        return np.asarray(np.clip(inside / 38, 0, 1) * (1 - 0.8 * np.exp(-(reach**3))), np.float32)


def with_rim(points: Array, hull: Array) -> Array:
    """Append the hull's points pushed outwards, so that the map goes on smoothly past the face's
    edge.
    """
    centre = points.mean(0)
    return np.concatenate([points, centre + (points[hull] - centre) * 1.07]).astype(np.float32)
