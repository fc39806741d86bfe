"""What lies in front of a face in its photo: hair and glasses, as the cover network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Mask

# Of the cover network's answer, which is sure of the middle of a frame and less so of its ends.
GLASSES = 0.3
FRAME_PX = 9  # what a frame's edge and its end reach past what the network sees


@dataclass(frozen=True)
class Covering:
    """How likely each texel shows hair, or glasses: float32 [224, 224] in 0..1 each, in canonical
    pixels.
    """

    hair: Mask
    glasses: Mask


def of_all(coverings: Sequence[Covering]) -> Covering:
    """Return what covers a texture made of several photos.

    Hair that a single photo lacks is not there, since that photo shows what is beneath it; glasses
    are where any photo has them.
    """
    return Covering(
        hair=np.asarray(np.min([one.hair for one in coverings], axis=0), np.float32),
        glasses=np.asarray(np.max([one.glasses for one in coverings], axis=0), np.float32),
    )


def glasses_of(covering: Covering | None, like: Mask) -> NDArray[np.bool_]:
    """Return where a texture of the shape of `like` shows glasses, which stay whole: a person who
    wears them in the photo wears them in the swap.

    Glasses are as wide on both sides: what the network sees on one alone is on the other as well.
    """
    if covering is None:
        return np.zeros(like.shape, np.bool_)

    seen = np.maximum(covering.glasses, covering.glasses[:, ::-1]) > GLASSES
    around = np.ones((FRAME_PX, FRAME_PX), np.uint8)
    return np.asarray(cv2.dilate(seen.astype(np.uint8), around) > 0)
