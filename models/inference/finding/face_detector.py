"""Where faces are, roughly, in a whole image: BlazeFace's two models, on the frame and on tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.inference.finding.blaze_face import BlazeFace
from models.inference.finding.detections import Detection, TurnedSquare, merge
from models.inference.frames.frame import Frame

Square: TypeAlias = tuple[float, float, float]  # left, top, side in pixels

MIN_SCORE = 0.5
# Tiles magnify noise as well as faces; a face mesh confirms each find afterwards.
MIN_TILE_SCORE = 0.6
# between this and twice this, a face with 20 px between the eyes fills 15 to 30 px of the input
MIN_TILE_PX = 320
MAX_SWEPT_TILE_PX = 640  # a face with 20 px between its eyes fills 15 px of the input
# The full-range model sees faces from a tenth of its input on; twice that leaves no doubt.
LARGE_SHARE = 0.2
TILE_STEP = 0.7  # of a tile: the overlap holds any face that the next coarser level misses


@dataclass(frozen=True)
class FaceDetector:
    """Both detectors together: one look for video, a pyramid of tiles for images."""

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
        """Return the faces of an image, down to 20 px between the eyes, whatever its size."""
        return merge(self.find_large(frame) + self.find_small(frame))

    def find_large(self, frame: Frame) -> list[Detection]:
        """Return the faces that a look at a whole still shows, unfiltered for overlap: surely those
        wider than `LARGE_SHARE` of it, in a quarter of the time.
        """
        square = _whole(frame)
        found = self.full_range.find(frame, *square, MIN_SCORE) + self.short_range.find(
            frame, *square, MIN_SCORE
        )
        # A face that fills the image is larger than either model was trained on: step back.
        return found + self.short_range.find(frame, *_stepped_back(square), MIN_SCORE)

    def find_small(self, frame: Frame) -> list[Detection]:
        """Return the faces that an image's tiles show, unfiltered for overlap."""
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
