"""The photo in a HEIF file: its size and looks from the index, its tiles on demand."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from worker.media.heif.boxes import Index
from worker.media.media_errors import DamagedMedia, UnsupportedMedia

# A photo of 108 megapixels in tiles of 512 px has 430 of them, and 60 KB of boxes.
MAX_META_BYTES: Final = 1 << 20
MAX_TILES: Final = 2048
MAX_TOP_BOXES: Final = 64  # ftyp, meta, mdat and a few that makers add
MAX_EXIF_BYTES: Final = 1 << 20
_GRID_BYTES: Final = 12


@dataclass(frozen=True)
class Colours:
    """What the container says of colours: matrix and range as in H.273, or a profile."""

    matrix: int | None = None
    full_range: bool | None = None
    icc_profile: bytes | None = None


@dataclass(frozen=True)
class Tile:
    """One coded image: its bytes, the decoder's configuration (`hvcC`), its size in pixels."""

    data: bytes
    config: bytes
    width: int
    height: int


@dataclass(frozen=True)
class _Grid:
    columns: int
    rows: int
    width: int
    height: int


class HeifPhoto:
    """The primary image of an open file.

    `width` and `height` are pixels before it is turned; `turns` are quarter turns anticlockwise,
    and `mirror` is 0 for top and bottom exchanged, 1 for left and right, None for neither.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the index; raises DamagedMedia, and UnsupportedMedia for what is not HEVC."""
        self._file = file
        self._bytes = file.seek(0, io.SEEK_END)
        with _noticing_damage():
            self._index = Index.of(self._meta())
            self._item = self._index.primary
            self._grid = self._read_grid()

        self.columns = self._grid.columns
        self.width = self._grid.width
        self.height = self._grid.height
        self.turns = 0
        self.mirror: int | None = None
        self.colours = Colours()
        self._read_looks()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown."""
        return (self.height, self.width) if self.turns % 2 else (self.width, self.height)

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles row by row; raises DamagedMedia, UnsupportedMedia."""
        for item in self._tile_ids():
            with _noticing_damage():
                config = self._index.property_of(item, b"hvcC")
                if config is None or self._index.kinds[item] != b"hvc1":
                    raise UnsupportedMedia("parts of the photo are not coded as HEVC")
                width, height = self._size(item)
                yield Tile(self._data(item, self._bytes), config, width, height)

    def exif(self) -> bytes:
        """Return the EXIF block; empty where there is none that can be read."""
        for item, kind in self._index.kinds.items():
            if kind == b"Exif":
                with _noticing_damage():
                    data = self._data(item, MAX_EXIF_BYTES)
                    # Its first four bytes say how many others come before the block.
                    return data[4 + int.from_bytes(data[:4], "big") :]

        return b""

    def _meta(self) -> bytes:
        place = 0
        for _ in range(MAX_TOP_BOXES):
            self._file.seek(place)
            header = self._file.read(16)
            size, kind = struct.unpack_from(">I4s", header)
            begin = 16 if size == 1 else 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", header, 8)

            if kind == b"meta" and size <= MAX_META_BYTES:
                self._file.seek(place + begin)
                return self._file.read(size - begin)[4:]
            if size < begin:  # 0 says "to the end of the file"
                break
            place += size

        raise DamagedMedia("the file has no photo in it")

    def _read_grid(self) -> _Grid:
        if self._index.kinds[self._item] != b"grid":
            return _Grid(1, 1, *self._size(self._item))

        data = self._data(self._item, _GRID_BYTES)
        sides = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
        grid = _Grid(data[3] + 1, data[2] + 1, *sides)
        tiles = len(self._tile_ids())
        if tiles != grid.columns * grid.rows or tiles > MAX_TILES:
            raise DamagedMedia("the photo's tiles do not fit its grid")

        return grid

    def _read_looks(self) -> None:
        with _noticing_damage():
            for kind, body in self._index.properties(self._item):
                if kind == b"irot":
                    self.turns = body[0] & 3
                elif kind == b"imir":
                    self.mirror = body[0] & 1

            # Tiles have the colours where the grid that they are put into has none.
            for item in (self._item, self._tile_ids()[0]):
                described = self._index.property_of(item, b"colr")
                if described is not None:
                    self.colours = _colours(described)
                    break

    def _tile_ids(self) -> tuple[int, ...]:
        if self._index.kinds[self._item] == b"grid":
            return self._index.tiles[self._item]
        return (self._item,)

    def _size(self, item: int) -> tuple[int, int]:
        body = self._index.property_of(item, b"ispe")
        if body is None:
            raise DamagedMedia("a part of the photo has no size")
        width, height = struct.unpack_from(">II", body, 4)
        if not width or not height:
            raise DamagedMedia("a part of the photo is empty")
        return width, height

    def _data(self, item: int, most: int) -> bytes:
        place = self._index.places[item]
        size = self._bytes if place.is_in_file else len(self._index.idat)
        parts: list[bytes] = []

        for offset, length in place.extents:
            if length > most or offset + length > size:
                raise DamagedMedia("a part of the photo lies outside of the file")
            if place.is_in_file:
                self._file.seek(offset)
                parts.append(self._file.read(length))
            else:
                parts.append(self._index.idat[offset : offset + length])

        return b"".join(parts)


@contextmanager
def _noticing_damage() -> Iterator[None]:
    try:
        yield
    except (struct.error, LookupError) as error:
        raise DamagedMedia("the image's index is damaged") from error


def _colours(body: bytes) -> Colours:
    if body[:4] in (b"prof", b"rICC"):
        return Colours(icc_profile=body[4:])
    if body[:4] == b"nclx":
        _, _, matrix, full = struct.unpack_from(">HHHB", body, 4)
        return Colours(matrix=matrix, full_range=bool(full & 0x80))
    return Colours()
