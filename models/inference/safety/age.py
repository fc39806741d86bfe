"""Apparent age: dlib's age network on the identity encoder's chips. An estimate, no verification.

Measured on 770 faces of adults: two photos of one person differ by 3.6 years in the median and by
17.7 at the 95th percentile, so one photo is weak evidence. How many minors it recognises was not
measured: no images of children are collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from models.inference.arrays import RgbImage
from models.inference.session import Network

ADULT_FROM = 18.0
# Estimates this low are often of adults of 25 and under; whether they are needs other evidence.
SURE_FROM = 25.0
# Of the classes below 18: a face that may well be a child's is refused whatever its mean says.
MINOR_PROBABILITY = 0.3

Verdict = Literal["adult", "unsure", "minor"]

_SIZE_PX = 64
_MEAN_RGB = np.array([122.782, 117.001, 104.298], np.float32)
# One class a year; the first is the first half year.
_YEARS = np.arange(81, dtype=np.float32)
_YEARS[0] = 0.25


@dataclass(frozen=True)
class ApparentAge:
    """One estimate: the mean in years, and the probability of being under 18."""

    years: float
    under_18: float

    @property
    def verdict(self) -> Verdict:
        """What a registration makes of it."""
        # Either of the two is enough: a mean of 19 may hide that half of the probability lies below
        # 18.
        if self.years < ADULT_FROM or self.under_18 >= MINOR_PROBABILITY:
            return "minor"
        return "unsure" if self.years < SURE_FROM else "adult"

    @property
    def band(self) -> str:
        """A coarse band for records that must not hold the estimate itself."""
        return {"minor": "under 18", "unsure": "18 to 25", "adult": "over 25"}[self.verdict]


@dataclass(frozen=True)
class AgeEstimator:
    """Estimates ages from chips of the identity encoder; 8 ms each on one core."""

    network: Network

    def estimate(self, chips: Sequence[RgbImage]) -> ApparentAge:
        """Return the median over several chips uint8 [S, S, 3] of one person."""
        small = [
            cv2.resize(chip, (_SIZE_PX, _SIZE_PX), interpolation=cv2.INTER_AREA) for chip in chips
        ]
        # As the network was trained: dlib's mean, and its 256.
        batch = (np.stack(small).astype(np.float32) - _MEAN_RGB) / 256
        probabilities = self.network(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))[
            "probabilities"
        ]

        years = probabilities @ _YEARS
        under_18 = probabilities[:, : int(ADULT_FROM)].sum(axis=1)
        # The median of the photos: one bad photo must not decide.
        return ApparentAge(years=float(np.median(years)), under_18=float(np.median(under_18)))
