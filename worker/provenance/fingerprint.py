"""Perceptual fingerprints: 64-bit difference hashes that show whether a mark was copied elsewhere.

A mark can be averaged out of one video and pasted onto another. Its record keeps fingerprints of
what was marked, and a file that does not resemble them is not what was made here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from worker.provenance.mark import Plane

VIDEO_HASHES_MAX = 256
"""Hashes kept of one video: one a second, fewer of videos longer than four minutes."""

# Of two unrelated images 32 of 64 bits differ, with a deviation of about 5. Re-encoding changes up
# to 6 bits, a crop of a tenth up to 14.
SAME_BITS = 14
# Frames between two recorded ones may show another moment; a quarter must be recognised.
SAME_SHARE = 0.25


def fingerprint(luma: Plane) -> int:
    """Return the difference hash of a luma plane: is each of 8 x 8 cells darker than its right?"""
    small = cv2.resize(luma, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def resembles(seen: Sequence[int], recorded: Sequence[int]) -> bool:
    """Return whether the frames of a file are among those recorded."""
    if not seen or not recorded:
        return False
    near = sum(min(_distance(one, other) for other in recorded) <= SAME_BITS for one in seen)
    return near >= SAME_SHARE * len(seen)


def thinned(hashes: Sequence[int]) -> list[int]:
    """Return at most VIDEO_HASHES_MAX of the hashes, evenly spread."""
    step = max(1, -(-len(hashes) // VIDEO_HASHES_MAX))
    return list(hashes[::step])


def _distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()
