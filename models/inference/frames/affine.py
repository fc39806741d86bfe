"""2x3 affine matrices: applying, inverting, composing."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine

Points = NDArray[np.float32]


def transform(points: Points, matrix: Affine) -> Points:
    """Return float32 [N, 2] points mapped by `matrix`."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def invert(matrix: Affine) -> Affine:
    """Return the inverse mapping."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return the mapping that applies `inner`, then `outer`."""
    both: Affine = outer[:, :2] @ inner
    both[:, 2] += outer[:, 2]
    return both


def scale_of(matrix: Affine) -> float:
    """Return how much longer a line becomes, on average over directions."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))
