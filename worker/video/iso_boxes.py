"""A look into the boxes of an MP4 or MOV before FFmpeg opens it: it would unpack an index of any
length at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Final

_CONTAINERS: Final = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_SAMPLE_SIZES: Final = {b"stsz", b"stz2"}
_MOST_BOXES: Final = 10_000  # real files have some hundred; a file of empty ones ends here
_DEEPEST: Final = 8  # moov, trak, mdia, minf, stbl: five are real


def most_samples(file: BinaryIO) -> int:
    """Return the greatest number of frames or sound packets that one track claims to have.

    Reads headers of boxes only; the file is left at its start.
    """
    size = file.seek(0, 2)
    # Bounded by count: a file of a gigabyte may hold a hundred million empty boxes.
    counts = list(islice(_sample_counts(file, 0, size), _MOST_BOXES))

    file.seek(0)
    return max(counts, default=0)


def _sample_counts(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[int]:
    """One number per box that was passed: its sample count, or 0."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(20)
        length, kind = struct.unpack(">I4s", header[:8])
        body = start + 8

        # 1 says that the real length follows, in 64 bits.
        if length == 1 and len(header) >= 16:
            (length,) = struct.unpack(">Q", header[8:16])
            body = start + 16

        if kind in _CONTAINERS and depth < _DEEPEST:
            yield from _sample_counts(
                file, body, min(end, start + length) if length else end, depth + 1
            )

        yield (
            struct.unpack(">I", header[16:20])[0]
            if kind in _SAMPLE_SIZES and len(header) == 20
            else 0
        )

        if length < 8:  # 0 says "to the end of the file"; 2 to 7 cannot be
            return

        start += length
