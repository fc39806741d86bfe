"""JPEG data that costs far more to decode than to send, wherever it is: files, TIFFs, video frames.

Each scan of a progressive JPEG costs a pass over all pixels, and may have few bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from worker.media.media_errors import DamagedMedia

# Cameras and editors write ten; a file with a preview or two inside has thirty.
MAX_SCANS: Final = 50
_SCAN: Final = b"\xff\xda"  # inside coded data a 0xFF is followed by a zero, so that none is missed


def require_few_scans(blocks: Iterable[bytes], images: int = 1) -> None:
    """Raise DamagedMedia when the data of so many `images`, in `blocks`, has too many scans."""
    scans = 0
    carried = b""

    for block in blocks:
        scans += (carried + block).count(_SCAN)
        carried = block[-1:] if block[-1:] == b"\xff" else b""

        if scans > images * MAX_SCANS:
            raise DamagedMedia(f"a JPEG in it has more than {MAX_SCANS} scans; save it anew")
