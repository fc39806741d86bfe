"""What an untrusted file is, judged by its first bytes: the one table of accepted formats.

Neither its name nor the type its sender declares decides. Own code, for the reasons in
docs/decisions/0010-own-sniffing-table.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final

SNIFFED_BYTES: Final = 1024  # five packets of an MPEG transport stream; no magic lies further in

# Sizes of a transport stream's packets: broadcast, and with AVCHD's time code before each.
_TS_PACKETS: Final = ((188, 0), (192, 4))
_ISO_BOXES: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
)


@dataclass(frozen=True)
class InputType:
    """An accepted format: `demuxer` is FFmpeg's name for a video's container, None for an image."""

    suffix: str
    title: str
    demuxer: str | None = None


INPUT_TYPES: Final = {
    "image/jpeg": InputType(".jpg", "JPEG"),
    "image/png": InputType(".png", "PNG"),
    "image/webp": InputType(".webp", "WebP"),
    "image/gif": InputType(".gif", "GIF"),
    "image/bmp": InputType(".bmp", "BMP"),
    "image/tiff": InputType(".tif", "TIFF"),
    "image/avif": InputType(".avif", "AVIF"),
    "image/heic": InputType(".heic", "HEIC"),
    "video/mp4": InputType(".mp4", "MP4", "mov"),
    "video/quicktime": InputType(".mov", "MOV", "mov"),
    "video/webm": InputType(".webm", "WebM", "matroska"),
    "video/matroska": InputType(".mkv", "Matroska", "matroska"),
    "video/x-msvideo": InputType(".avi", "AVI", "avi"),
    "video/mp2t": InputType(".ts", "MPEG-TS", "mpegts"),
    "video/mpeg": InputType(".mpg", "MPEG-PS", "mpeg"),
    "video/x-flv": InputType(".flv", "FLV", "flv"),
    "video/ogg": InputType(".ogv", "Ogg", "ogg"),
}
IMAGE_TYPES: Final = tuple(name for name in INPUT_TYPES if name.startswith("image/"))
VIDEO_TYPES: Final = tuple(name for name in INPUT_TYPES if name.startswith("video/"))
ACCEPTED_IMAGES: Final = ", ".join(INPUT_TYPES[name].title for name in IMAGE_TYPES)
ACCEPTED_VIDEOS: Final = ", ".join(INPUT_TYPES[name].title for name in VIDEO_TYPES)

# Formats that people send and that are refused, with what they can do about it.
_REFUSED: Final = (
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMV, ASF)"),
    (b".RMF", "RealMedia"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"#EXTM3U", "an HLS playlist"),
    (b"ffconcat", "a concatenation script"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"PK\x03\x04", "a ZIP archive"),
)


def sniff(head: bytes) -> str | None:
    """Return the media type of a file that starts with `head`, or None when it is not accepted.

    Playlists and concatenation scripts are text and match nothing: FFmpeg would open the files that
    they name.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12])
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "image/tiff"

    return _sniff_iso_media(head) if _is_iso_media(head) else _sniff_video(head)


def sniff_file(file: BinaryIO) -> tuple[str | None, bytes]:
    """Return `sniff` of an open file, and its first bytes; the file is left at its start."""
    file.seek(0)
    head = file.read(SNIFFED_BYTES)
    file.seek(0)
    return sniff(head), head


def declares(declared: str, sniffed: str) -> bool:
    """Return whether a client's `declared` media type allows for the one found in the bytes.

    The bytes decide: a declared type must only not contradict them about image or video.
    """
    kind, _, _ = declared.strip().lower().partition("/")
    return kind not in {"image", "video"} or kind == sniffed.partition("/")[0]


def refusal(head: bytes) -> str:
    """Return a sentence that names the format of a refused file, and what is accepted instead."""
    accepted = f"accepted are the images {ACCEPTED_IMAGES} and the videos {ACCEPTED_VIDEOS}"
    for magic, name in _REFUSED:
        if head.lstrip().startswith(magic):
            return f"The file is {name}, which is not supported; {accepted}"

    return f"The file is of no supported format; {accepted}"


def _is_iso_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp" or head[4:8] in _ISO_BOXES


def _sniff_iso_media(head: bytes) -> str | None:
    if head[4:8] != b"ftyp":
        return "video/quicktime"

    brand = head[8:12]
    if brand in {b"avif", b"avis"}:
        return "image/avif"
    if brand in _HEIF_BRANDS:
        # `mif1` stands for any HEIF; the brands behind it say how it is coded.
        length = int.from_bytes(head[:4], "big")
        return "image/avif" if b"avif" in head[16:length] else "image/heic"

    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _sniff_video(head: bytes) -> str | None:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/matroska"
    if head.startswith(b"FLV\x01"):
        return "video/x-flv"
    if head.startswith(b"OggS"):
        return "video/ogg"
    if head.startswith(b"\0\0\x01\xba"):
        return "video/mpeg"
    for size, offset in _TS_PACKETS:
        if head[offset::size][:4] == b"GGGG":  # the sync byte 0x47, four times in a row
            return "video/mp2t"

    return None
