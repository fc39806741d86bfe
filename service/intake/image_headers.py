"""Headers of strangers' pictures: size and number of frames, for formats that
`service.intake.media_types` knows.

Pure Python over a few bytes at a time, because this runs in the service's own process: nothing is
decoded, nothing is allocated by what a header claims, and walks end at the limit that they check.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BOXES_BYTES = 4096  # of an AVIF's head, where its sizes are
_MAX_BLOCKS = 1_000_000  # of a file; walking that many takes about 0.3 s


@dataclass(frozen=True)
class ImageHeader:
    """What an image's header claims: size in pixels and number of frames (1 for a still)."""

    width: int
    height: int
    frames: int = 1


class HeaderError(Exception):
    """The file's header is broken or cut off."""


class TooManyFramesError(HeaderError):
    """The animation has more frames than the limit; counting stopped there."""


def read_image_header(file: BinaryIO, media_type: str, max_frames: int) -> ImageHeader:
    """Return size and frame count of the image in `file`.

    Raises HeaderError, or TooManyFramesError past the limit.
    """
    try:
        if media_type in _ANIMATED:
            return _checked(_ANIMATED[media_type](file, max_frames))
        return _checked(_STILL[media_type](file))
    except (struct.error, IndexError, ValueError) as error:
        raise HeaderError("the header is cut off") from error


def _checked(header: ImageHeader) -> ImageHeader:
    if header.width < 1 or header.height < 1:
        raise HeaderError("the header gives no size")
    return header


def _steps() -> Iterator[int]:
    """Bound a walk over blocks: a file of empty ones would keep it busy for long."""
    yield from range(_MAX_BLOCKS)
    raise HeaderError("the file has too many blocks")


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise HeaderError("the file ends inside its header")
    return data


def _png(file: BinaryIO, max_frames: int) -> ImageHeader:
    _read(file, 8)
    length, kind = struct.unpack(">I4s", _read(file, 8))
    if kind != b"IHDR" or length != 13:
        raise HeaderError("the first chunk is not the header")
    width, height = struct.unpack(">II", _read(file, 8))
    file.seek(9, 1)
    frames = 0
    for _ in _steps():
        if len(chunk := file.read(8)) < 8:
            break
        length, kind = struct.unpack(">I4s", chunk)
        frames += kind == b"fcTL"  # counted, because the number that acTL claims binds no decoder
        if frames > max_frames:
            raise TooManyFramesError
        if kind == b"IEND":
            break
        file.seek(length + 4, 1)
    return ImageHeader(width, height, max(1, frames))


def _gif(file: BinaryIO, max_frames: int) -> ImageHeader:
    _, width, height, flags = struct.unpack("<6sHHBxx", _read(file, 13))
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)
    frames, steps = 0, _steps()
    while (mark := file.read(1)) not in (b"", b";"):
        if mark == b"!":
            _read(file, 1)
        elif mark == b",":
            frames += 1
            if frames > max_frames:
                raise TooManyFramesError
            local = _read(file, 9)[8]
            if local & 0x80:
                file.seek(3 << ((local & 7) + 1), 1)
            _read(file, 1)
        else:
            break  # what decoders would make of the rest is theirs to say, in their own process
        while (size := file.read(1)) not in (b"", b"\0"):
            next(steps)
            file.seek(size[0], 1)
    return ImageHeader(width, height, max(1, frames))


def _webp(file: BinaryIO, max_frames: int) -> ImageHeader:
    _read(file, 12)
    kind, length = struct.unpack("<4sI", _read(file, 8))
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", _read(file, 10)[6:])
        return ImageHeader(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits = int.from_bytes(_read(file, 5)[1:], "little")
        return ImageHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise HeaderError("the first chunk is not the header")
    body = _read(file, 10)
    width, height = (
        int.from_bytes(body[4:7], "little") + 1,
        int.from_bytes(body[7:10], "little") + 1,
    )
    file.seek(length - 10 + (length & 1), 1)
    frames = 0
    for _ in _steps():
        if len(chunk := file.read(8)) < 8:
            break
        kind, length = struct.unpack("<4sI", chunk)
        frames += kind == b"ANMF"
        if frames > max_frames:
            raise TooManyFramesError
        file.seek(length + (length & 1), 1)
    return ImageHeader(width, height, max(1, frames))


def _jpeg(file: BinaryIO) -> ImageHeader:
    _read(file, 2)
    steps = _steps()
    while True:
        next(steps)
        mark, kind = _read(file, 2)
        while kind == 0xFF:  # fill bytes
            next(steps)
            kind = _read(file, 1)[0]
        if mark != 0xFF:
            raise HeaderError("a segment does not start with its mark")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", _read(file, 7)[3:])
            return ImageHeader(width, height)
        if kind == 0xDA:
            raise HeaderError("the scan starts before the size is given")
        if kind != 0x01 and not 0xD0 <= kind <= 0xD8:
            file.seek(max(2, struct.unpack(">H", _read(file, 2))[0]) - 2, 1)


def _bmp(file: BinaryIO) -> ImageHeader:
    _read(file, 14)
    size = struct.unpack("<I", _read(file, 4))[0]
    if size == 12:
        return ImageHeader(*struct.unpack("<HH", _read(file, 4)))
    width, height = struct.unpack("<ii", _read(file, 8))
    return ImageHeader(abs(width), abs(height))


def _tiff(file: BinaryIO) -> ImageHeader:
    order = "<" if _read(file, 4)[:1] == b"I" else ">"
    file.seek(struct.unpack(order + "I", _read(file, 4))[0])
    found: dict[int, int] = {}
    for _ in range(struct.unpack(order + "H", _read(file, 2))[0]):
        tag, kind, _, value = struct.unpack(order + "HHI4s", _read(file, 12))
        if tag in (256, 257):
            found[tag] = struct.unpack(order + ("H2x" if kind == 3 else "I"), value)[0]
    return ImageHeader(found.get(256, 0), found.get(257, 0))


def _avif(file: BinaryIO) -> ImageHeader:
    head = file.read(_BOXES_BYTES)
    sizes = []
    at = head.find(b"ispe")
    while 0 <= at <= len(head) - 16:
        sizes.append(struct.unpack(">II", head[at + 8 : at + 16]))
        at = head.find(b"ispe", at + 4)
    if not sizes:
        raise HeaderError("no size is given")
    return ImageHeader(*max(sizes))  # items of a grid are smaller than the picture they make up


_ANIMATED: dict[str, Callable[[BinaryIO, int], ImageHeader]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
}
_STILL: dict[str, Callable[[BinaryIO], ImageHeader]] = {
    "image/jpeg": _jpeg,
    "image/bmp": _bmp,
    "image/tiff": _tiff,
    "image/avif": _avif,
}
