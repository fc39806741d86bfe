"""BlazeFace: where faces are, roughly, in a whole image (Bazarevsky et al., 2019; MediaPipe's
short-range and full-range models).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Box, to_network
from models.inference.frames.affine import invert, scale_of, transform
from models.inference.frames.frame import Frame
from models.inference.session import Network

Points = NDArray[np.float32]
Square: TypeAlias = tuple[float, float, float]  # left, top, side in pixels

MIN_SCORE = 0.5
# Tiles magnify noise as well as faces; a face mesh confirms each find afterwards.
MIN_TILE_SCORE = 0.6
SAME_FACE_OVERLAP = 0.3
SAME_TURN = np.pi / 6  # between eye lines: scales and tiles differ by a few degrees
# between this and twice this, a face with 20 px between the eyes fills 15 to 30 px of the input
MIN_TILE_PX = 320
MAX_SWEPT_TILE_PX = 640  # a face with 20 px between its eyes fills 15 px of the input
# The full-range model sees faces from a tenth of its input on; twice that leaves no doubt.
LARGE_SHARE = 0.2
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
        half = side / 2
        return self.find_turned(
            frame, TurnedSquare(left + half, top + half, side, angle=0.0), min_score
        )

    def find_turned(self, frame: Frame, square: TurnedSquare, min_score: float) -> list[Detection]:
        """Return the faces that stand upright in a turned square, in frame pixels."""
        to_crop = square.to_crop(self.input_size)
        outputs = self.network(to_network(frame.rgb_crop(to_crop, self.input_size)))
        regressors = outputs["boxes"][0]
        logits = outputs["scores"][0, :, 0]

        # The logit of the threshold, so that only what passes is decoded.
        kept = np.flatnonzero(logits > np.log(min_score / (1 - min_score)))
        scores = 1 / (1 + np.exp(-logits[kept]))
        offsets = regressors[kept].reshape(-1, 8, 2)
        centres = self._anchors[kept] * self.input_size
        # Networks count from the corner of the first pixel, warps from its centre.
        to_frame = invert(to_crop)

        return [
            _detection(offset, centre - 0.5, float(score), to_frame)
            for offset, centre, score in zip(offsets, centres, scores, strict=True)
        ]

    def best_score(self, frame: Frame, square: TurnedSquare) -> float:
        """Return the score 0..1 of the best upright face in a turned square, however low."""
        crop = frame.rgb_crop(square.to_crop(self.input_size), self.input_size)
        logits = self.network(to_network(crop))["scores"]
        return float(1 / (1 + np.exp(-logits.max())))

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

    def find(self, frame: Frame, squares: Sequence[TurnedSquare] = ()) -> list[Detection]:
        """Return the faces of a video frame: those wider than about a twentieth of it.

        In `squares`, taken from `sweep`, smaller and turned ones are looked for too.
        """
        whole = _whole(frame)
        found = self.full_range.find(frame, *whole, MIN_SCORE)
        found = found or self.short_range.find(frame, *whole, MIN_SCORE)

        for square in squares:
            found += self._find_in_square(frame, square)

        return merge(found)

    def sweep(self, frame: Frame) -> list[TurnedSquare]:
        """Return the squares in which a face with 20 px between its eyes, or one that lies on its
        side or stands on its head, is found.

        Tiles are halved until such a face fills 15 px of the network's input; the whole frame is
        looked at from its other three sides.
        """
        x = frame.width / 2
        y = frame.height / 2
        tile = float(max(frame.width, frame.height))
        squares = [TurnedSquare(x, y, tile, quarter * np.pi / 2) for quarter in (1, 2, 3)]

        while tile > MAX_SWEPT_TILE_PX:
            tile /= 2
            squares += [
                TurnedSquare(left + tile / 2, top + tile / 2, tile, angle=0.0)
                for left, top, _ in _level(frame.width, frame.height, tile)
            ]

        return squares

    def find_all(self, frame: Frame) -> list[Detection]:
        """Return the faces of a still, down to 20 px between the eyes, whatever its size."""
        return merge(self.find_large(frame) + self.find_small(frame))

    def find_large(self, frame: Frame) -> list[Detection]:
        """Return the faces that a look at a whole still shows, unfiltered for overlap: surely those
        wider than `LARGE_SHARE` of it, in a quarter of the time.
        """
        square = _whole(frame)
        found = self.full_range.find(frame, *square, MIN_SCORE) + self.short_range.find(
            frame, *square, MIN_SCORE
        )
        # A face that fills the picture is larger than either model was trained on: step back from
        # it.
        return found + self.short_range.find(frame, *_stepped_back(square), MIN_SCORE)

    def find_small(self, frame: Frame) -> list[Detection]:
        """Return the faces that a still's tiles show, unfiltered for overlap."""
        found: list[Detection] = []
        side = _whole(frame)[2] / 2

        while side >= MIN_TILE_PX:
            for tile in _level(frame.width, frame.height, side):
                found += self._find_in_tile(frame, tile)
            side /= 2

        return found

    def _find_in_tile(self, frame: Frame, tile: Square) -> list[Detection]:
        found = self.full_range.find(frame, *tile, MIN_TILE_SCORE)
        return [face for face in found if _is_whole(face, tile, frame)]

    def _find_in_square(self, frame: Frame, square: TurnedSquare) -> list[Detection]:
        if square.angle:
            return self.full_range.find_turned(frame, square, MIN_TILE_SCORE)
        half = square.side / 2
        return self._find_in_tile(frame, (square.x - half, square.y - half, square.side))


def _detection(
    offset: Points, centre: NDArray[np.float64], score: float, to_frame: Affine
) -> Detection:
    """Return a detection in frame pixels from one in a crop's: middle, size, six points."""
    placed = transform((np.vstack([offset[:1], offset[2:]]) + centre).astype(np.float32), to_frame)
    half = offset[1] / 2 * scale_of(to_frame)
    return Detection(_as_box(placed[0] - half, placed[0] + half), score, placed[1:])


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
        merged.append(Detection(_as_box(box[:2], box[2:]), best.score, points))

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
    """Return whether no edge of the tile cuts the face, unless that edge is the frame's own.

    What a tile cuts is seen whole by its neighbour; what the frame cuts is all there is.
    """
    left, top, side = tile
    low_x, low_y, high_x, high_y = face.box
    cut_left = low_x < left and left > 0
    cut_top = low_y < top and top > 0
    cut_right = high_x > left + side and left + side < frame.width
    cut_bottom = high_y > top + side and top + side < frame.height

    return not (cut_left or cut_top or cut_right or cut_bottom)
