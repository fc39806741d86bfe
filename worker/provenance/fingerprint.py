"""Perceptual fingerprints: 64-bit difference hashes of images and frames."""

from __future__ import annotations

import cv2
import numpy as np

from worker.provenance.mark import Plane


def fingerprint(luma: Plane) -> int:
    """Return the difference hash of a luma plane: is each of 8 x 8 cells darker than its right?"""
    # Nine columns give eight differences a row; area averaging makes it indifferent to scaling.
    small = cv2.resize(luma, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
