"""The face mesh: 468 points of one face, and how sure the network is that it sees one (MediaPipe,
192 px).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Box, Landmarks, RgbImage, to_network
from models.inference.finding.alignment import eye_distance
from models.inference.finding.detections import Detection
from models.inference.frames.affine import invert, transform
from models.inference.frames.frame import Frame
from models.inference.mesh_points import CLOSE_LIPS, MESH_POINTS, OUTER_EYE_CORNERS
from models.inference.session import Network

INPUT_SIZE = 192
LANDMARKS = MESH_POINTS
MARGIN = 1.5  # of the face's longer side: what the network was trained with
CHEEKS = (234, 454)
MIDDLE = slice(INPUT_SIZE // 4, INPUT_SIZE * 3 // 4)


@dataclass(frozen=True)
class RegionOfInterest:
    """A square of the frame, turned by `angle` radians so that the face in it stands upright."""

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def of_detection(cls, face: Detection) -> RegionOfInterest:
        """Frame a face that was just detected; its eye line gives the angle."""
        left_eye = face.points[0]
        right_eye = face.points[1]
        angle = float(np.arctan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0]))
        left, top, right, bottom = face.box

        return cls((left + right) / 2, (top + bottom) / 2, face.size * MARGIN, angle)

    @classmethod
    def of_landmarks(cls, landmarks: Landmarks) -> RegionOfInterest:
        """Frame a face by its mesh in the previous frame, or in a first look."""
        left_eye = landmarks[OUTER_EYE_CORNERS[0]]
        right_eye = landmarks[OUTER_EYE_CORNERS[1]]
        angle = float(np.arctan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0]))
        rotation = _rotation(-angle)
        upright = landmarks @ rotation.T
        low = upright.min(axis=0)
        high = upright.max(axis=0)
        x, y = rotation.T @ ((low + high) / 2)

        return cls(float(x), float(y), float((high - low).max()) * MARGIN, angle)

    @property
    def face_side(self) -> float:
        """The longer side of the face itself, in pixels."""
        return self.side / MARGIN

    def to_crop(self) -> Affine:
        """Return the matrix from the frame to the network's input."""
        linear = _rotation(-self.angle) * (INPUT_SIZE / self.side)
        return np.column_stack([linear, INPUT_SIZE / 2 - linear @ np.array([self.x, self.y])])


@dataclass(frozen=True)
class MeshedFace:
    """Landmarks in frame pixels, confidence 0..1, and the turn of the head in degrees, positive
    towards the right.

    `look` is an 8 x 8 image of the face's middle: nearly the same from frame to frame while one
    person is followed. `human` 0..1 is the detector's close look at a face just found: drawings
    and animals score low where the mesh is sure (see `face_finder`). `unrefined` is the mesh before
    its lips were looked at closely, None where they were not: a hand misleads a close look.
    """

    landmarks: Landmarks
    score: float
    yaw_deg: float
    look: RgbImage
    human: float = 1.0
    unrefined: Landmarks | None = None

    @cached_property
    def box(self) -> Box:
        low = self.landmarks.min(axis=0)
        high = self.landmarks.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @cached_property
    def eye_px(self) -> float:
        return eye_distance(self.landmarks)

    @cached_property
    def roll(self) -> float:
        """How far the face is turned in the image, clockwise, in radians: 0 is upright."""
        return RegionOfInterest.of_landmarks(self.landmarks).angle


@dataclass(frozen=True)
class FaceMesh:
    """Runs the mesh network on one region at a time, and after it the network of the `lips`, if
    there is one (Grishchenko et al., 2020): the mesh alone opens a mouth by a third of what it
    does.
    """

    network: Network
    lips: Network | None = None

    def look(self, frame: Frame, region: RegionOfInterest) -> MeshedFace:
        """Return the face in a region; a low score says there is none."""
        to_crop = region.to_crop()
        crop = frame.rgb_crop(to_crop, INPUT_SIZE)
        image = to_network(crop)
        seen = self.network(image)
        mesh = seen["landmarks"].reshape(LANDMARKS, 3)
        plain = transform(mesh[:, :2], invert(to_crop))
        landmarks = plain
        if self.lips is not None:
            closely = self.lips(image, seen["landmarks"])["lips"].reshape(-1, 2)
            landmarks = plain.copy()
            landmarks[_LIPS] = transform(closely, invert(to_crop))

        look = np.asarray(
            cv2.resize(crop[MIDDLE, MIDDLE], (8, 8), interpolation=cv2.INTER_AREA), np.uint8
        )

        return MeshedFace(
            landmarks=landmarks,
            score=float(1 / (1 + np.exp(-seen["presence"].item()))),
            yaw_deg=_yaw_deg(mesh),
            look=look,
            unrefined=None if self.lips is None else plain,
        )

    def settle(self, frame: Frame, face: Detection) -> MeshedFace:
        """Return the face of a detection, looked at twice more through the mesh just found, which
        frames it better.

        The last two meshes are averaged: each look has an error of its own.
        """
        first = self.look(frame, RegionOfInterest.of_detection(face))
        second = self.look(frame, RegionOfInterest.of_landmarks(first.landmarks))
        third = self.look(frame, RegionOfInterest.of_landmarks(second.landmarks))

        return replace(
            third, landmarks=np.asarray((second.landmarks + third.landmarks) / 2, np.float32)
        )


def _yaw_deg(mesh: NDArray[np.float32]) -> float:
    left = mesh[CHEEKS[0]]
    right = mesh[CHEEKS[1]]
    return float(
        np.degrees(np.arctan2(right[2] - left[2], np.hypot(right[0] - left[0], right[1] - left[1])))
    )


def _rotation(angle: float) -> NDArray[np.float64]:
    cosine = np.cos(angle)
    sine = np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


_LIPS = list(CLOSE_LIPS)
