"""Files that other people send: valid ones, bombs, and ones that are not what they say."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def jpeg(width: int = 320, height: int = 240) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 40).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def saved(file_format: str, width: int = 64, height: int = 48, frames: int = 1) -> bytes:
    """Return an image that Pillow wrote, moving when it has several frames."""
    images = [
        Image.new("RGB", (width, height), (index * 7 % 256, 40, 90)) for index in range(frames)
    ]
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:], "duration": 40} if frames > 1 else {}
    images[0].save(buffer, file_format, **more)

    return buffer.getvalue()


def png_bomb(side: int = 20_000) -> bytes:
    """Return a PNG of side x side grey pixels in about a megabyte."""
    packer = zlib.compressobj(1)
    rows = []
    row = bytes(1 + side)

    for _ in range(side):
        rows.append(packer.compress(row))

    rows.append(packer.flush())
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = (
        png_chunk(b"IHDR", header),
        png_chunk(b"IDAT", b"".join(rows)),
        png_chunk(b"IEND", b""),
    )

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG that ends after saying how large it is."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda" + bytes(64)


def gif_bomb(frames: int) -> bytes:
    """Return a GIF of `frames` frames, one pixel each, 16 bytes each."""
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


def apng_bomb(frames: int) -> bytes:
    """Return a PNG that says it has `frames` frames, and has their headers."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    frame = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 25, 0, 0))
    control = png_chunk(b"acTL", struct.pack(">II", frames, 0))
    data = png_chunk(b"IDAT", zlib.compress(b"\0\0"))
    start = b"\x89PNG\r\n\x1a\n" + header + control

    return start + frame + data + frame * (frames - 1) + png_chunk(b"IEND", b"")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def mp4_bomb(frames: int) -> bytes:
    """Return an MP4 of one video track with `frames` samples of one byte."""
    avc = box(b"avcC", b"\x01\x42\x00\x1e\xff\xe1\x00\x00\x01\x00\x00")
    entry = box(
        b"avc1",
        bytes(6)
        + b"\0\x01"
        + bytes(16)
        + struct.pack(">HHIIIH", 64, 48, 0x480000, 0x480000, 0, 1)
        + bytes(32)
        + b"\0\x18\xff\xff"
        + avc,
    )

    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1) + entry)
        + box(b"stts", struct.pack(">IIII", 0, 1, frames, 1))
        + box(b"stsc", struct.pack(">IIIII", 0, 1, 1, frames, 1))
        + box(b"stsz", struct.pack(">III", 0, 1, frames))
        + box(b"stco", struct.pack(">III", 0, 1, 40)),
    )

    handler = box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    data_ref = box(
        b"dinf", box(b"dref", struct.pack(">II", 0, 1) + box(b"url ", struct.pack(">I", 1)))
    )
    info = box(b"minf", box(b"vmhd", struct.pack(">IQ", 1, 0)) + data_ref + table)
    media = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 25, frames, 0x55C4, 0)) + handler + info
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    track = box(
        b"tkhd",
        struct.pack(">IIIIII", 7, 0, 0, 1, 0, frames)
        + bytes(16)
        + matrix
        + struct.pack(">II", 64 << 16, 48 << 16),
    )

    head = box(
        b"mvhd",
        struct.pack(">IIIIIIH", 0, 0, 0, 25, frames, 0x10000, 0x100)
        + bytes(10)
        + matrix
        + bytes(24)
        + struct.pack(">I", 2),
    )

    movie = box(b"moov", head + box(b"trak", track + box(b"mdia", media)))
    return box(b"ftyp", b"isom\0\0\2\0isomavc1") + movie + box(b"mdat", bytes(64))


def playlist(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n".encode()


def concat_list(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def dash(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"'
        ' type="static"><Period><AdaptationSet>'
        f"<Representation><BaseURL>{target}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>"
    ).encode()


def svg(target: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{target}"/></svg>'.encode()


def mvg(target: str) -> bytes:
    return f"push graphic-context\nimage over 0,0 0,0 '{target}'\npop graphic-context\n".encode()
