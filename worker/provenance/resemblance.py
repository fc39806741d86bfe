"""Whether a file is what was marked: its fingerprints against those of the record.

A mark can be averaged out of one video and pasted onto another. Its record keeps fingerprints of
what was marked, and a file that does not resemble them is not what was made here.
"""

from __future__ import annotations

from collections.abc import Sequence

# Hashes kept of one video: one a second, fewer of videos longer than four minutes.
HASHES_MAX = 256

# Of two unrelated images 32 of 64 bits differ; of two portraits of the same layout, 28. Re-encoding
# changes up to 6 bits, and of crops 98 % come within 8 (`fingerprint.fingerprints`). Of pairs of
# aligned portraits .16 % do; with 14, which plain hashes of crops would need, 2 % would.
SAME_BITS = 8
# Frames between two recorded ones may show another moment; a quarter must be recognised.
SAME_SHARE = 0.25


def resembles(seen: Sequence[int], recorded: Sequence[int]) -> bool:
    """Return whether the frames of a file are among those recorded."""
    if not seen or not recorded:
        return False
    # 256 against 24 at most, so the plain double loop is quick enough.
    near = sum(min(_distance(one, other) for other in recorded) <= SAME_BITS for one in seen)
    return near >= SAME_SHARE * len(seen)


def nearest(seen: Sequence[Sequence[int]], recorded: Sequence[int]) -> list[int]:
    """Return for each frame that one of its hashes which is nearest to a recorded one."""
    return [
        min(hashes, key=lambda word: min(_distance(word, other) for other in recorded))
        for hashes in seen
        if hashes and recorded
    ]


def thinned(hashes: Sequence[int]) -> tuple[int, ...]:
    """Return at most HASHES_MAX of the hashes, evenly spread."""
    # Rounded up, so that the bound holds.
    step = max(1, -(-len(hashes) // HASHES_MAX))
    return tuple(hashes[::step])


def _distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()
