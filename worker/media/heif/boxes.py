"""The index of a HEIF file: items, their properties, and where their data lies (ISO/IEC 23008-12).

Every count that a file declares is bounded before it is believed; what is cut off raises
struct.error or IndexError, which callers translate.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.media.media_errors import DamagedMedia

# A photo of 108 megapixels in tiles of 512 px has some 430 items.
MAX_ITEMS: Final = 4096
MAX_EXTENTS: Final = 64  # of one item; cameras write one
MAX_BOXES: Final = 8192  # inside of one box: properties are shared, or there is one per item

Box = tuple[bytes, bytes]  # type and body


@dataclass(frozen=True)
class Place:
    """Where an item's data lies: extents of offset and length in the file, or in `idat`."""

    is_in_file: bool
    extents: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Index:
    """The `meta` box taken apart; items are known by their numbers."""

    primary: int
    kinds: dict[int, bytes]
    tiles: dict[int, tuple[int, ...]]
    places: dict[int, Place]
    idat: bytes
    _properties: tuple[Box, ...]
    _links: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, meta: bytes) -> Index:
        """Return the index in the body of a `meta` box, without its version and flags."""
        boxes = dict(_boxes(meta))
        described = dict(_boxes(boxes[b"iprp"]))
        return cls(
            primary=_primary(boxes[b"pitm"]),
            kinds=_kinds(boxes[b"iinf"]),
            tiles=_tiles(boxes[b"iref"]) if b"iref" in boxes else {},
            places=_places(boxes[b"iloc"]),
            idat=boxes.get(b"idat", b""),
            _properties=tuple(_boxes(described[b"ipco"])),
            _links=_links(described[b"ipma"]),
        )

    def properties(self, item: int) -> list[Box]:
        """Return an item's properties in the order in which they apply."""
        return [self._properties[link - 1] for link in self._links.get(item, ()) if link]

    def property_of(self, item: int, name: bytes) -> bytes | None:
        """Return the body of an item's first property of this name."""
        return next((body for kind, body in self.properties(item) if kind == name), None)


class _Fields:
    """Reads big-endian numbers one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._place = 4  # behind the version and the flags
        self.version = body[0]
        self.flags = int.from_bytes(body[1:4], "big")

    def number(self, size: int) -> int:
        """Return the next number of `size` bytes; 0 for none, as HEIF has it."""
        end = self._place + size
        if end > len(self._body):
            raise IndexError("a box is cut off")
        value = int.from_bytes(self._body[self._place : end], "big")
        self._place = end
        return value


def _boxes(body: bytes) -> Iterator[Box]:
    place = 0
    for _ in range(MAX_BOXES):
        if place + 8 > len(body):
            return
        size, kind = struct.unpack_from(">I4s", body, place)
        # 0 and 1 stand for sizes that nothing inside of an index has.
        if size < 8 or place + size > len(body):
            raise DamagedMedia("a box of the image's index is damaged")

        yield kind, body[place + 8 : place + size]
        place += size

    raise DamagedMedia("the image's index has too many boxes")


def _primary(body: bytes) -> int:
    fields = _Fields(body)
    return fields.number(4 if fields.version else 2)


def _kinds(body: bytes) -> dict[int, bytes]:
    counted = _Fields(body)
    start = 8 if counted.version else 6
    kinds: dict[int, bytes] = {}

    for kind, entry in _boxes(body[start:]):
        if kind != b"infe" or entry[0] < 2:
            continue
        fields = _Fields(entry)
        item = fields.number(4 if fields.version == 3 else 2)
        fields.number(2)  # protection, of which phones have none
        kinds[item] = fields.number(4).to_bytes(4, "big")

    return _counted(kinds)


def _tiles(body: bytes) -> dict[int, tuple[int, ...]]:
    """Return by item those that it is made of (`dimg`)."""
    size = 4 if body[0] else 2
    tiles: dict[int, tuple[int, ...]] = {}

    for kind, entry in _boxes(body[4:]):
        if kind == b"dimg":
            fields = _Fields(bytes(4) + entry)  # no full box: it has no version
            item = fields.number(size)
            count = fields.number(2)
            tiles[item] = tuple(fields.number(size) for _ in range(min(count, MAX_ITEMS + 1)))

    return tiles


def _links(body: bytes) -> dict[int, tuple[int, ...]]:
    """Return by item the numbers of its properties, from 1."""
    fields = _Fields(body)
    size = 2 if fields.flags & 1 else 1
    mask = 0x7FFF if size == 2 else 0x7F  # the highest bit says that a reader must know it
    links: dict[int, tuple[int, ...]] = {}

    for _ in range(_items(fields.number(4))):
        item = fields.number(4 if fields.version else 2)
        links[item] = tuple(fields.number(size) & mask for _ in range(fields.number(1)))

    return links


def _places(body: bytes) -> dict[int, Place]:
    fields = _Fields(body)
    sizes = fields.number(2)
    # Four numbers of four bits: how long the numbers that follow are.
    offset_size = sizes >> 12
    length_size = sizes >> 8 & 15
    base_size = sizes >> 4 & 15
    index_size = sizes & 15
    is_plain = fields.version == 0  # without ways of holding data
    places: dict[int, Place] = {}

    for _ in range(_items(fields.number(4 if fields.version == 2 else 2))):
        item = fields.number(4 if fields.version == 2 else 2)
        way = 0 if is_plain else fields.number(2) & 15
        fields.number(2)  # of another file, which is not opened
        base = fields.number(base_size)
        extents: list[tuple[int, int]] = []

        for _ in range(min(fields.number(2), MAX_EXTENTS)):
            if not is_plain:
                fields.number(index_size)
            offset = base + fields.number(offset_size)
            extents.append((offset, fields.number(length_size)))

        # 2 would be in another item, which no camera writes.
        if way in (0, 1):
            places[item] = Place(is_in_file=way == 0, extents=tuple(extents))

    return places


def _items(count: int) -> int:
    if count > MAX_ITEMS:
        raise DamagedMedia(f"the image has more than {MAX_ITEMS} parts")
    return count


def _counted(kinds: dict[int, bytes]) -> dict[int, bytes]:
    _items(len(kinds))
    return kinds
