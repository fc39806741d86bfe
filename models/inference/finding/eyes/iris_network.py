"""The iris network: lids, brow and iris of both eyes, seen closely (MediaPipe, 64 px; Ablavatski et
al., 2020).

The face mesh is blind to lids: before, during and after a blink it reads the same opening. This
network looks at each eye alone and follows lids and gaze.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks, RgbImage, to_network
from models.inference.finding.eyes.eye_axes import INNER, LOWER, OUTER, UPPER, EyeAxes
from models.inference.finding.eyes.eye_white import white_of_eye
from models.inference.frames.affine import invert, transform
from models.inference.frames.frame import Frame
from models.inference.session import Network

INPUT_SIZE = 64
CONTOURS = 71
IRIS = 5
MARGIN = 2.3  # the crop's side in widths of the eye: what the network was trained with
# The network knows one eye, the one on the viewer's left; the other is shown to it mirrored.
MIRRORED = (False, True)
# Mesh points of the eyes, the viewer's left first: outer corner, lower lid, inner corner, upper
# lid, both lids from the outer corner inwards. The first 16 contour points lie in this order.
LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
)


@dataclass(frozen=True)
class Eye:
    """What the network sees of one eye, in pixels of the frame.

    `contours` is float32 [71, 2]: the lids in the order of `LIDS`, then creases and brow. `iris` is
    float32 [5, 2]: the centre and four points on its rim. `side` is 0 for the viewer's left eye of
    an upright face, 1 for the right one. `white` is the colour of the white of the eye, RGB levels
    [3], None where too little of it shows.
    """

    contours: NDArray[np.float32]
    iris: NDArray[np.float32]
    side: int
    white: NDArray[np.float32] | None = None

    @cached_property
    def lids(self) -> NDArray[np.float32]:
        """The outline of the opening, float32 [16, 2] in the order of `LIDS`."""
        return self.contours[: len(LIDS[0])]

    @cached_property
    def opening(self) -> float:
        """How far the lids are apart, in widths of the eye: about .3 open, under .1 shut.

        The mean over the five inner pairs of points; at the corners lids always touch.
        """
        apart = np.linalg.norm(self.lids[LOWER] - self.lids[UPPER], axis=1)[1:-1]
        return float(apart.mean()) / max(self.axes.width, 1e-6)

    @cached_property
    def axes(self) -> EyeAxes:
        """The eye's own axes, in pixels of the frame."""
        return EyeAxes.of(self.lids[OUTER], self.lids[INNER], self.side)

    @cached_property
    def gaze(self) -> NDArray[np.float64]:
        """Where the iris stands in the eye's own axes, float64 [2] in widths of the eye."""
        return self.axes.own(self.iris[0])

    @cached_property
    def iris_radius(self) -> float:
        """The iris's radius in pixels, from the two points at its sides: lids hide the others."""
        return float(np.linalg.norm(self.iris[[1, 3]] - self.iris[0], axis=1).mean())

    def moved(self, matrix: Affine) -> Eye:
        """Return the eye in the pixels that `matrix` maps the frame's to."""
        return replace(
            self,
            contours=transform(self.contours, matrix),
            iris=transform(self.iris, matrix),
        )


EyePair: TypeAlias = tuple[Eye, Eye]
"""Both eyes, the viewer's left first."""


def with_lids(landmarks: Landmarks, eyes: EyePair) -> Landmarks:
    """Return a face mesh whose lids are those of the iris network."""
    seen = landmarks.copy()
    for eye, lids in zip(eyes, LIDS, strict=True):
        seen[list(lids)] = eye.lids
    return seen


@dataclass(frozen=True)
class IrisNetwork:
    """Runs the iris network on both eyes of a face in one pass."""

    network: Network

    def look(self, frame: Frame, landmarks: Landmarks) -> EyePair:
        """Return the eyes of a face whose mesh, float32 [468, 2] in frame pixels, is given."""
        to_crops = [eye_crop(landmarks, side) for side in (0, 1)]
        crops = [frame.rgb_crop(to_crop, INPUT_SIZE, extend=True) for to_crop in to_crops]
        return self._read(crops, to_crops)

    def _read(self, crops: list[RgbImage], to_crops: list[Affine]) -> EyePair:
        seen = self.network(np.concatenate([to_network(crop) for crop in crops]))
        contours = seen["contours"].reshape(2, CONTOURS, 3)[..., :2]
        irises = seen["iris"].reshape(2, IRIS, 3)[..., :2]
        left, right = (
            _with_white(Eye(contours[side], irises[side], side), crops[side]) for side in (0, 1)
        )

        return left.moved(invert(to_crops[0])), right.moved(invert(to_crops[1]))


def _with_white(eye: Eye, crop: RgbImage) -> Eye:
    return replace(eye, white=white_of_eye(crop, eye.lids, eye.iris[0], eye.iris_radius))


def eye_crop(landmarks: Landmarks, side: int) -> Affine:
    """Return the matrix from the frame to the network's input, the eye level in its middle.

    Only the corners of the eye are used, which a blink does not move.
    """
    outer, inner = (landmarks[LIDS[side][place]].astype(np.float64) for place in (OUTER, INNER))
    along = outer - inner if MIRRORED[side] else inner - outer
    scale = INPUT_SIZE / (MARGIN * max(float(np.linalg.norm(along)), 1e-6))
    cosine, sine = along * scale / max(float(np.linalg.norm(along)), 1e-6)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    to_crop = np.column_stack([linear, INPUT_SIZE / 2 - linear @ ((outer + inner) / 2)])

    if MIRRORED[side]:
        to_crop[0] = (0, 0, INPUT_SIZE) - to_crop[0]

    return to_crop
