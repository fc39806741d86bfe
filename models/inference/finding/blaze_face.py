"""BlazeFace: one look at a square of an image (Bazarevsky et al., 2019; MediaPipe's short-range and
full-range models).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, to_network
from models.inference.finding.detections import Detection, Points, TurnedSquare, as_box
from models.inference.frames.affine import invert, scale_of, transform
from models.inference.frames.frame import Frame
from models.inference.session import Network


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
        """Faces within about two metres of a camera: large in the image."""
        return cls(network, 128, ((16, 2), (8, 6)))

    @classmethod
    def full_range(cls, network: Network) -> BlazeFace:
        """Faces within about five metres: down to a tenth of the image."""
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


def _detection(
    offset: Points, centre: NDArray[np.float64], score: float, to_frame: Affine
) -> Detection:
    """Return a detection in frame pixels from one in a crop's: middle, size, six points."""
    placed = transform((np.vstack([offset[:1], offset[2:]]) + centre).astype(np.float32), to_frame)
    half = offset[1] / 2 * scale_of(to_frame)
    return Detection(as_box(placed[0] - half, placed[0] + half), score, placed[1:])
