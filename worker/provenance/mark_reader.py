"""Finds the mark `lk1` in images and video frames (docs/trust.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.provenance.mark import CHIPS_PER_SHORT_SIDE, Plane
from worker.provenance.mark_code import TILE, Chips, MarkCode

# Standard deviations of the correlation's peak; 1,793 unmarked images reached 5.45 at most.
FOUND_AT = 7.0
# Beyond this, further places of a video would not change the answer.
CERTAIN_AT = 12.0

# The working resolution: a chip must span several pixels to be told from noise.
# Three times what the search works at; larger planes only make each of its scales dearer.
MOST_SHORT_SIDE_PX = 1080
# A panorama has 4:1, a banner 10:1; of anything longer the middle is searched.
MOST_ELONGATED = 16

_CHIP_PX = 4
_SHORT_SIDE = CHIPS_PER_SHORT_SIDE * _CHIP_PX
_TILE_PX = TILE * _CHIP_PX
# A crop makes the short side shorter, so the tile seems larger: crops down to 0.8 of the image.
SCALES = tuple(float(scale) for scale in np.arange(0.80, 1.05, 0.004))


@dataclass(frozen=True)
class Reading:
    """What a search found: how certain a mark is there, and the id where it is proved."""

    certainty: float
    mark_id: int | None

    @property
    def found(self) -> bool:
        """Whether a mark of this key (or with the public synchronisation) is there."""
        return self.certainty >= FOUND_AT


@dataclass(frozen=True)
class _Sighting:
    certainty: float
    chips: Chips


class MarkReader:
    """Reads marks of one key. Not tied to a thread; 5 ms an image and scale."""

    def __init__(self, code: MarkCode) -> None:
        self._code = code

    def read_image(self, luma: Plane) -> Reading:
        """Return what a luma plane holds: its own scale first, then 64 scales for crops."""
        # Most files are whole, and this costs a sixty-fourth of the search.
        reading = self._reading(self._sight([luma], 1.0))
        if reading.found and reading.mark_id is not None:
            return reading

        sightings = [self._sight([luma], scale) for scale in SCALES]
        searched = self._reading(max(sightings, key=lambda sighting: sighting.certainty))
        return max(
            reading, searched, key=lambda found: (found.mark_id is not None, found.certainty)
        )

    def read_frames(self, places: Iterable[Sequence[Plane]]) -> Reading:
        """Return what a video holds, from a few consecutive luma planes of each of several places.

        Frames of one place are added up; each place brings its own shift of the tile.
        """
        total = np.zeros((TILE, TILE), np.float32)
        best = Reading(certainty=0.0, mark_id=None)

        for frames in places:
            sighting = self._sight(frames, 1.0)
            # Weighted, so that a place without detail does not drown the others.
            total = total + sighting.chips * sighting.certainty
            together = _Sighting(max(best.certainty, sighting.certainty), total)
            candidates = [self._reading(sighting), self._reading(together)]
            best = max(
                [best, *candidates], key=lambda found: (found.mark_id is not None, found.certainty)
            )

            if best.mark_id is not None and best.certainty >= CERTAIN_AT:
                break

        return best

    def _reading(self, sighting: _Sighting) -> Reading:
        proved = self._code.read(sighting.chips) if sighting.certainty >= FOUND_AT else None
        return Reading(certainty=sighting.certainty, mark_id=proved)

    def _sight(self, planes: Sequence[Plane], scale: float) -> _Sighting:
        total = np.zeros((_TILE_PX, _TILE_PX), np.float32)
        count = np.zeros_like(total)

        for plane in planes:
            residual = _residual(plane, scale)
            total += _folded(residual)
            count += _folded(np.ones_like(residual))

        # Sums of many pixels vary less in their mean: this makes every place vary alike.
        even = total / np.sqrt(np.maximum(count, 1))
        # All shifts at once: the tile repeats, which is what a Fourier correlation assumes.
        correlation = np.fft.irfft2(
            np.fft.rfft2(even) * self._sync_spectrum, s=(_TILE_PX, _TILE_PX)
        )
        standard = (correlation - correlation.mean()) / (correlation.std() + 1e-9)
        row, column = np.unravel_index(int(standard.argmax()), standard.shape)

        mean = total / np.maximum(count, 1)
        aligned = np.roll(mean, (-int(row), -int(column)), axis=(0, 1))
        chips = aligned.reshape(TILE, _CHIP_PX, TILE, _CHIP_PX).mean(axis=(1, 3))

        return _Sighting(certainty=float(standard.max()), chips=chips.astype(np.float32))

    @cached_property
    def _sync_spectrum(self) -> NDArray[np.complex128]:
        size = (_TILE_PX, _TILE_PX)
        tile = cv2.resize(self._code.sync_tile, size, interpolation=cv2.INTER_NEAREST)
        smooth = cv2.GaussianBlur(np.pad(tile, 8, mode="wrap"), (9, 9), 1.2)[8:-8, 8:-8]
        return np.asarray(np.conj(np.fft.rfft2(smooth)))


def legible(luma: Plane) -> Plane | None:
    """Return what is searched of a luma plane: no more pixels than a mark needs to be read.

    None where there are too few to carry one. The search works at a short side of 360 px; without
    these bounds a line of 300 px, or an image of 120 MP, would keep it busy for minutes.
    """
    height, width = luma.shape
    short = min(height, width)
    if short < CHIPS_PER_SHORT_SIDE:
        return None

    most = MOST_ELONGATED * short
    top = max(0, height - most) // 2
    left = max(0, width - most) // 2
    part = luma[top : top + most, left : left + most]

    if short <= MOST_SHORT_SIDE_PX:
        return np.ascontiguousarray(part)

    shrink = MOST_SHORT_SIDE_PX / short
    size = (round(part.shape[1] * shrink), round(part.shape[0] * shrink))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _residual(luma: Plane, scale: float) -> NDArray[np.float32]:
    """Return what is left of a plane when its own content is taken off: clipped and whitened.

    The short side becomes `scale` x 360 px, where a chip has 4 px.
    """
    height, width = luma.shape
    shrink = _SHORT_SIDE * scale / min(height, width)
    size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
    interpolation = cv2.INTER_AREA if shrink < 1 else cv2.INTER_LINEAR

    plane = cv2.resize(luma, size, interpolation=interpolation).astype(np.float32)
    # The band in which a chip of four pixels lies; image content is mostly below it.
    fine = cv2.GaussianBlur(plane, (0, 0), 0.8) - cv2.GaussianBlur(plane, (0, 0), 5)
    spread = np.sqrt(np.maximum(cv2.blur(fine * fine, (17, 17)), 0)) + 0.7

    # Edges would outweigh thousands of flat pixels otherwise.
    return np.asarray(np.clip(fine / spread, -2, 2), np.float32)


def _folded(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all repetitions of the tile in a plane, added up: [256, 256]."""
    height, width = plane.shape
    down = -(-height // _TILE_PX)
    across = -(-width // _TILE_PX)
    padded = np.zeros((down * _TILE_PX, across * _TILE_PX), np.float32)
    padded[:height, :width] = plane

    return np.asarray(padded.reshape(down, _TILE_PX, across, _TILE_PX).sum(axis=(0, 2)), np.float32)
