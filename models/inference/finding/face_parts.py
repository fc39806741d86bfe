"""Whether the eyes and the mouth of a face can be seen, or something covers them.

A mouth that can be seen has the structure that mouths have: it is close to what the principal
components of many people's make of it (`models.training.material.face_parts`). Eyes behind dark
glasses are much darker than the cheeks below them. Error rates: docs/recognition.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import RgbImage

PARTS_FILE: Final = Path(__file__).with_name("face_parts.npz")
PATCH_SIZE: Final = 32, 16
# Rows and columns of the 224 template: the lips and a little skin around them; both eyes between
# their lids; the cheeks below them.
MOUTH: Final = np.s_[166:206, 72:152]
EYES: Final = (np.s_[96:114, 60:92], np.s_[96:114, 131:163])
MOUTH_CONTRAST: Final = 0.1  # 98 % of mouths have more; a palm or a cloth has .02 to .08
CHEEKS: Final = (np.s_[132:158, 62:88], np.s_[132:158, 136:162])


@dataclass(frozen=True)
class FaceParts:
    """Mean and principal components of the mouth's structure, float64 [512] and [6, 512]."""

    mean: NDArray[np.float64]
    components: NDArray[np.float64]

    @classmethod
    def load(cls) -> FaceParts:
        """Read the components that come with this package."""
        with np.load(PARTS_FILE) as arrays:
            return cls(
                arrays["mean"].astype(np.float64),
                arrays["components"].astype(np.float64),
            )

    def mouth_familiarity(self, crop: RgbImage) -> float:
        """Return how much of the structure where the mouth should be is that of mouths: at most 1,
        about .7 for a mouth, 0 and less for a flat or folded thing in front of it.

        `crop` is a face, uint8 [224, 224, 3] RGB, aligned to the template.
        """
        structure, contrast = mouth_structure(crop)
        off = structure - self.mean
        unexplained = off - self.components.T @ (self.components @ off)
        familiarity = 1.0 - float(np.sum(unexplained**2))

        return familiarity * min(1.0, contrast / MOUTH_CONTRAST)


def mouth_structure(crop: RgbImage) -> tuple[NDArray[np.float64], float]:
    """Return the mouth of an aligned face as float64 [512]: its levels without the light that falls
    from one side, of length one; and their contrast, standard deviation over mean.
    """
    luma = cv2.cvtColor(np.ascontiguousarray(crop[MOUTH]), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, PATCH_SIZE, interpolation=cv2.INTER_AREA).astype(np.float64)
    flat = (small - _slope(small)).ravel()
    contrast = float(flat.std() / max(1.0, small.mean()))

    return flat / max(1e-6, float(np.linalg.norm(flat))), contrast


def eye_brightness(crop: RgbImage) -> float:
    """Return the level of the brighter eye of an aligned face over that of its cheeks: about .7,
    less in the shade of deep sockets, .2 behind dark glasses.
    """
    luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    cheeks = np.median(np.concatenate([luma[place].ravel() for place in CHEEKS]))
    return float(max(np.median(luma[place]) for place in EYES) / max(1.0, float(cheeks)))


def _slope(patch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the plane that fits a patch best: its mean, and light from one side."""
    rows, columns = patch.shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    across = (patch * x).sum() / (x * x).sum()
    down = (patch * y).sum() / (y * y).sum()

    return np.asarray(patch.mean() + across * x + down * y)
