"""Data that costs far more to decode than to send: counted before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

from worker.media.media_errors import DamagedMedia

if TYPE_CHECKING:
    from PIL import Image

# Each scan of a progressive JPEG costs a pass over all pixels, and may have few bytes. Cameras and
# editors write ten; a file with a preview or two inside has thirty.
MAX_SCANS: Final = 50
_SCAN: Final = b"\xff\xda"  # inside coded data a 0xFF is followed by a zero, so that none is missed
_READ_BYTES: Final = 1 << 20
_GIF_SCREEN_BYTES: Final = 13  # signature and screen descriptor
_MAX_GIF_BLOCKS: Final = 1_000_000  # some 0.3 s; a frame has two at most, and a comment is one
_STRIP_OFFSETS: Final = 273  # tags of a TIFF: where its parts are
_TILE_OFFSETS: Final = 324


def require_few_scans(blocks: Iterable[bytes], images: int = 1) -> None:
    """Raise DamagedMedia when the JPEG data of so many `images`, in `blocks`, has too many scans.

    Such data costs far more to decode than to send, wherever it is: in files, TIFFs, video frames.
    """
    scans = 0
    carried = b""

    for block in blocks:
        scans += (carried + block).count(_SCAN)
        carried = block[-1:] if block[-1:] == b"\xff" else b""

        if scans > images * MAX_SCANS:
            raise DamagedMedia(f"a JPEG in it has more than {MAX_SCANS} scans; save it anew")


def check_scans(file: BinaryIO, strips: int = 1) -> None:
    """Raise DamagedMedia for a file whose JPEG data, in so many strips, has too many scans."""
    place = file.tell()
    file.seek(0)
    require_few_scans(iter(lambda: file.read(_READ_BYTES), b""), images=strips)
    file.seek(place)


def count_strips(image: Image.Image) -> int:
    """Return how many parts a TIFF stores its pixels in, each a JPEG of its own."""
    tags = getattr(image, "tag_v2", {})
    return max(len(tags.get(_STRIP_OFFSETS, ())), len(tags.get(_TILE_OFFSETS, ())), 1)


def count_gif_frames(file: BinaryIO, most: int) -> int:
    """Return the number of frames, at most one more than `most`, by a walk over the GIF's blocks.

    Pillow would take seconds to step over a million of them.
    """
    file.seek(_GIF_SCREEN_BYTES - 3)
    flags = file.read(3)[:1]
    _skip_colours(file, flags)
    frames = 0

    for _ in range(_MAX_GIF_BLOCKS):
        mark = file.read(1)
        if mark == b",":
            frames += 1
            _skip_colours(file, file.read(9)[8:])
            file.read(1)
        elif mark == b"!":
            file.read(1)
        else:  # the end, or what decoders would make of the rest is theirs to say
            break

        while (size := file.read(1)) not in (b"", b"\0"):
            file.seek(size[0], 1)

        if frames > most:
            break

    return max(1, frames)


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 << ((flags[0] & 7) + 1), 1)
