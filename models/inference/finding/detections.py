"""Detected faces, the turned squares they are looked for in, and one detection made of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Box

Points = NDArray[np.float32]

SAME_FACE_OVERLAP = 0.3
SAME_TURN = np.pi / 6  # between eye lines: scales and tiles differ by a few degrees


@dataclass(frozen=True)
class Detection:
    """One face: box and score 0..1, and six points: both eyes, nose tip, mouth, both ears (viewer's
    left first).
    """

    box: Box
    score: float
    points: Points

    @property
    def size(self) -> float:
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True)
class TurnedSquare:
    """A square of the frame: its middle and side in pixels, turned clockwise by `angle` radians."""

    x: float
    y: float
    side: float
    angle: float

    def to_crop(self, size: int) -> Affine:
        """Return the matrix from the frame to the square's own upright `size` px crop."""
        cosine = np.cos(self.angle) * size / self.side
        sine = np.sin(self.angle) * size / self.side
        linear = np.array([[cosine, sine], [-sine, cosine]])
        middle = np.array([self.x, self.y]) - 0.5

        return np.column_stack([linear, size / 2 - 0.5 - linear @ middle])


def merge(found: list[Detection]) -> list[Detection]:
    """Return one detection for each face, best first: overlapping ones averaged by score, which is
    the steadier way.
    """
    rest = sorted(found, key=lambda face: -face.score)
    merged: list[Detection] = []

    while rest:
        best = rest[0]
        group = [face for face in rest if overlap(face.box, best.box) > SAME_FACE_OVERLAP]
        rest = [face for face in rest if not any(face is member for member in group)]
        # Seen from another side of the frame, a face may be found lying: its points differ.
        alike = [face for face in group if _turn_between(face, best) < SAME_TURN]
        weights = np.array([face.score for face in alike])
        box = np.average([face.box for face in alike], axis=0, weights=weights)
        points = np.average([face.points for face in alike], axis=0, weights=weights).astype(
            np.float32
        )
        merged.append(Detection(as_box(box[:2], box[2:]), best.score, points))

    return merged


def _turn_between(a: Detection, b: Detection) -> float:
    """Return the angle between two faces' eye lines in radians, 0..pi."""
    lines = [face.points[1] - face.points[0] for face in (a, b)]
    turn = np.arctan2(lines[0][1], lines[0][0]) - np.arctan2(lines[1][1], lines[1][0])
    return float(abs((turn + np.pi) % (2 * np.pi) - np.pi))


def overlap(a: Box, b: Box) -> float:
    """Return the shared area of two boxes over the smaller one's: a face found twice at two scales
    counts as one.
    """
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])

    if width <= 0 or height <= 0:
        return 0.0

    return width * height / max(1e-6, min(_area(a), _area(b)))


def as_box(low: NDArray[Any], high: NDArray[Any]) -> Box:
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
