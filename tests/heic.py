"""HEIC photos as phones write them: a grid of HEVC tiles in boxes, and the boxes of wrong ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import av
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
NCLX = b"nclx" + struct.pack(">HHHB", 1, 13, 6, 0x80)  # sRGB as JPEG has it


def heic(
    pixels: Rgb,
    tile_px: int | None = None,
    *,
    turns: int = 0,
    mirror: int | None = None,
    colours: bytes = NCLX,
    exif: bytes = b"",
    said_px: int | None = None,
    primary: int = 1,
) -> bytes:
    """Return the photo of `pixels` [H, W, 3]: whole, or of square tiles of `tile_px`.

    `said_px` is the size that tiles claim to have, where that is a lie.
    """
    height, width = pixels.shape[:2]
    tiles = [pixels] if tile_px is None else _cut(pixels, tile_px)
    coded = [_coded(tile) for tile in tiles]
    side = said_px or tile_px
    sizes = [(side or tile.shape[1], side or tile.shape[0]) for tile in tiles]

    # Properties: 1 the decoder's configuration, 2 a tile's size, then those of the whole photo.
    whole = [
        _full(b"ispe", struct.pack(">II", width, height)),
        _box(b"colr", colours),
        _box(b"irot", bytes([turns])),
        *([_box(b"imir", bytes([mirror]))] if mirror is not None else []),
    ]
    properties = [_box(b"hvcC", coded[0][0]), _full(b"ispe", struct.pack(">II", *sizes[0])), *whole]
    looks = list(range(3, 3 + len(whole)))
    first = 2 if tile_px else 1
    items = [(first + number, b"hvc1", data) for number, (_, data) in enumerate(coded)]
    links = {item: [1, 2] for item, _, _ in items}

    if tile_px:
        rows, columns = -(-height // tile_px), -(-width // tile_px)
        grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
        items.append((1, b"grid", grid))
        links[1] = looks
    else:
        links[1] = [1, *looks]
    if exif:
        items.append((100, b"Exif", struct.pack(">I", 0) + exif))

    tile_ids = [item for item, kind, _ in items if kind == b"hvc1"]
    return _file(items, properties, links, tile_ids if tile_px else [], primary)


def _cut(pixels: Rgb, side: int) -> list[Rgb]:
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    return [
        np.ascontiguousarray(padded[top : top + side, left : left + side])
        for top in range(0, padded.shape[0], side)
        for left in range(0, padded.shape[1], side)
    ]


def _coded(pixels: Rgb) -> tuple[bytes, bytes]:
    """Return an image's decoder configuration, and its coded bytes, by FFmpeg's MP4 writer."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        options = {"x265-params": "log-level=none:keyint=1:pools=none:frame-threads=1", "crf": "8"}
        stream = container.add_stream("libx265", rate=1, options=options)
        stream.width = pixels.shape[1]
        stream.height = pixels.shape[0]
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
            format="yuvj420p", dst_colorspace=5, dst_color_range=2
        )
        container.mux([*stream.encode(frame), *stream.encode(None)])

    with av.open(io.BytesIO(target.getvalue())) as written:
        stream = written.streams.video[0]
        packets = [bytes(packet) for packet in written.demux(stream) if packet.size]
        return bytes(stream.codec_context.extradata), packets[0]


def _file(
    items: Sequence[tuple[int, bytes, bytes]],
    properties: Sequence[bytes],
    links: dict[int, list[int]],
    tile_ids: Sequence[int],
    primary: int,
) -> bytes:
    head = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    length = len(_meta(items, properties, links, tile_ids, primary, start=0))
    meta = _meta(items, properties, links, tile_ids, primary, start=len(head) + length + 8)
    return head + meta + _box(b"mdat", b"".join(data for _, _, data in items))


def _meta(
    items: Sequence[tuple[int, bytes, bytes]],
    properties: Sequence[bytes],
    links: dict[int, list[int]],
    tile_ids: Sequence[int],
    primary: int,
    start: int,
) -> bytes:
    kinds = b"".join(
        _full(b"infe", struct.pack(">HH4s", item, 0, kind) + b"\0", version=2)
        for item, kind, _ in items
    )
    places = struct.pack(">BBH", 0x44, 0, len(items))

    for item, _, data in items:
        places += struct.pack(">HHHII", item, 0, 1, start, len(data))
        start += len(data)

    linked = struct.pack(">I", len(links))
    for item, numbers in links.items():
        linked += struct.pack(">HB", item, len(numbers)) + bytes(numbers)

    parts = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", primary)),
        _full(b"iinf", struct.pack(">H", len(items)) + kinds),
        _full(b"iloc", places),
        _box(b"iprp", _box(b"ipco", b"".join(properties)) + _full(b"ipma", linked)),
    ]
    if tile_ids:
        named = struct.pack(f">HH{len(tile_ids)}H", 1, len(tile_ids), *tile_ids)
        parts.append(_full(b"iref", _box(b"dimg", named)))

    return _full(b"meta", b"".join(parts))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + body)
