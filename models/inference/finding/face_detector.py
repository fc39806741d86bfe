"""BlazeFace: where faces are, roughly, in a whole picture (Bazarevsky et al., 2019.

MediaPipe's two models).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Box, Tensor, to_network
from models.inference.frames.frame import Frame
from models.inference.session import Network

Points = NDArray[np.float32]
Square: TypeAlias = tuple[float, float, float]  # left, top, side in pixels

MIN_SCORE = 0.5
# Tiles magnify noise as well as faces; a face mesh confirms each find afterwards.
MIN_TILE_SCORE = 0.6
SAME_FACE_OVERLAP = 0.3
# between this and twice this, a face with 20 px between the eyes fills 15 to 30 px of the input
MIN_TILE_PX = 320
TILE_STEP = 0.7  # of a tile: the overlap holds any face that the next coarser level misses


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
class BlazeFace:
    """One of the two detectors.

    `grids` are the cells per side and anchors per cell of its output, in order.
    """

    network: Network
    input_size: int
    grids: tuple[tuple[int, int], ...]

    @classmethod
    def short_range(cls, network: Network) -> BlazeFace:
        """Faces within about two metres of a camera: large in the picture."""
        return cls(network, 128, ((16, 2), (8, 6)))

    @classmethod
    def full_range(cls, network: Network) -> BlazeFace:
        """Faces within about five metres: down to a tenth of the picture."""
        return cls(network, 192, ((48, 1),))

    def find(
        self, frame: Frame, left: float, top: float, side: float, min_score: float
    ) -> list[Detection]:
        """Return the faces of a square of the frame, unfiltered for overlap, in frame pixels."""
        scale = self.input_size / side
        to_crop: Affine = np.array([[scale, 0, 0.0], [0, scale, 0.0]])
        to_crop[:, 2] = (0.5 - np.array([left, top])) * scale - 0.5
        found = self.network(to_network(frame.rgb_crop(to_crop, self.input_size)))
        return self._decode(
            found["boxes"][0], found["scores"][0, :, 0], np.array([left, top]), side, min_score
        )

    def _decode(
        self,
        regressors: Tensor,
        logits: Tensor,
        origin: NDArray[np.float64],
        side: float,
        min_score: float,
    ) -> list[Detection]:
        # The logit of the threshold, so that only what passes is decoded.
        kept = np.flatnonzero(logits > np.log(min_score / (1 - min_score)))
        offsets = regressors[kept].reshape(-1, 8, 2) / self.input_size
        scores = 1 / (1 + np.exp(-logits[kept]))
        centres = self._anchors[kept]
        found = []
        for offset, centre, score in zip(offsets, centres, scores, strict=True):
            middle, half = (offset[0] + centre) * side + origin, offset[1] * side / 2
            points = ((offset[2:] + centre) * side + origin).astype(np.float32)
            low, high = middle - half, middle + half
            found.append(Detection(_as_box(low, high), float(score), points))
        return found

    @cached_property
    def _anchors(self) -> Points:
        """Centres of the anchors in 0..1; all have the size of the input."""
        levels = []
        for cells, per_cell in self.grids:
            rows, columns = np.divmod(np.arange(cells * cells), cells)
            centres = (np.stack([columns, rows], axis=1) + 0.5) / cells
            levels.append(np.repeat(centres, per_cell, axis=0))
        return np.concatenate(levels).astype(np.float32)


@dataclass(frozen=True)
class FaceDetector:
    """Both detectors together: one look for video, a pyramid of tiles for stills."""

    short_range: BlazeFace
    full_range: BlazeFace

    def find(self, frame: Frame, tiles: Sequence[int] = ()) -> list[Detection]:
        """Return the faces of a video frame: those wider than about a twentieth of it.

        In `tiles`, by number, smaller ones are looked for too: see `tile_count`.
        """
        square = _whole(frame)
        found = self.full_range.find(frame, *square, MIN_SCORE)
        found = found or self.short_range.find(frame, *square, MIN_SCORE)
        level = _level(frame.width, frame.height, square[2] / 2)
        for number in tiles:
            found += self._find_in_tile(frame, level[number % len(level)])
        return merge(found)

    def tile_count(self, frame: Frame) -> int:
        """Return how many overlapping tiles of half its longer side cover a frame."""
        return len(_level(frame.width, frame.height, max(frame.width, frame.height) / 2))

    def find_all(self, frame: Frame) -> list[Detection]:
        """Return the faces of a still, down to 20 px between the eyes, whatever its size."""
        square = _whole(frame)
        found = self.full_range.find(frame, *square, MIN_SCORE) + self.short_range.find(
            frame, *square, MIN_SCORE
        )
        # A face that fills the picture is larger than either model was trained on: step back from
        # it.
        found += self.short_range.find(frame, *_stepped_back(square), MIN_SCORE)
        side = square[2] / 2
        while side >= MIN_TILE_PX:
            for tile in _level(frame.width, frame.height, side):
                found += self._find_in_tile(frame, tile)
            side /= 2
        return merge(found)

    def _find_in_tile(self, frame: Frame, tile: Square) -> list[Detection]:
        found = self.full_range.find(frame, *tile, MIN_TILE_SCORE)
        return [face for face in found if _is_whole(face, tile, frame)]


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
        weights = np.array([face.score for face in group])
        box = np.average([face.box for face in group], axis=0, weights=weights)
        points = np.average([face.points for face in group], axis=0, weights=weights).astype(
            np.float32
        )
        merged.append(Detection(_as_box(box[:2], box[2:]), best.score, points))
    return merged


def overlap(a: Box, b: Box) -> float:
    """Return the shared area of two boxes over the smaller one's: a face found twice at two scales
    counts as one.
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / max(1e-6, min(_area(a), _area(b)))


def _as_box(low: NDArray[Any], high: NDArray[Any]) -> Box:
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _whole(frame: Frame) -> Square:
    side = float(max(frame.width, frame.height))
    return (frame.width - side) / 2, (frame.height - side) / 2, side


def _stepped_back(square: Square) -> Square:
    left, top, side = square
    return left - side / 2, top - side / 2, side * 2


def _level(width: int, height: int, side: float) -> list[Square]:
    """Return overlapping squares that cover a frame, row by row: one level of a pyramid."""
    return [(left, top, side) for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: float) -> list[float]:
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side * TILE_STEP))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _is_whole(face: Detection, tile: Square, frame: Frame) -> bool:
    """A face cut by a tile's edge is seen whole by a neighbour.

    One cut by the frame is all there is.
    """
    left, top, side = tile
    low_x, low_y, high_x, high_y = face.box
    cut_left, cut_top = low_x < left and left > 0, low_y < top and top > 0
    cut_right = high_x > left + side and left + side < frame.width
    cut_bottom = high_y > top + side and top + side < frame.height
    return not (cut_left or cut_top or cut_right or cut_bottom)
