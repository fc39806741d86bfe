"""What a stranger's file is, judged by its first bytes and not by its name or what its sender
says.
"""

from __future__ import annotations

IMAGE_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/avif",
)
VIDEO_TYPES = (
    "video/mp4",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
    "video/x-msvideo",
    "video/mp2t",
)
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/avif": ".avif",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi",
    "video/mp2t": ".ts",
}
_SAME = {  # names that senders use for one and the same
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/apng": "image/png",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "video/x-m4v": "video/mp4",
    "video/avi": "video/x-msvideo",
    "video/vnd.avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "video/matroska": "video/x-matroska",
}
_ANY = frozenset({"", "application/octet-stream", "image/*", "video/*"})
_FAMILIES = ({"video/mp4", "video/quicktime"}, {"video/webm", "video/x-matroska"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def sniff(head: bytes) -> str | None:
    """Return the media type of a file that starts with `head` or None when it is not accepted."""
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
    if head[4:8] == b"ftyp":
        return _sniff_iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "video/quicktime"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "video/mp2t"
    return None


def _sniff_iso_media(head: bytes) -> str | None:
    brand = head[8:12]
    if brand in _AVIF_BRANDS:
        return "image/avif"
    if brand in _HEIF_BRANDS:
        return None  # no decoder for HEVC stills here
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def matches(declared: str, sniffed: str) -> bool:
    """Return whether a sender's media type and the one found in the bytes mean the same."""
    name = declared.split(";")[0].strip().lower()
    if name in _ANY:
        return name in ("", "application/octet-stream") or same_kind(name, sniffed)
    name = _SAME.get(name, name)
    return name == sniffed or any(name in family and sniffed in family for family in _FAMILIES)


def same_kind(declared: str, sniffed: str) -> bool:
    """Return whether both are images or both are films: all that a type guessed from a file's name
    can be held to.
    """
    return declared.strip()[:6].lower() == sniffed[:6]
