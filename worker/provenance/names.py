"""Names that the service and the workers share about marks and manifests."""

from __future__ import annotations

MANIFEST_TYPE = "application/c2pa"
# Bytes of a mark key, and of the key that chains the audit trail.
KEY_BYTES = 32


# Containers that c2pa-rs cannot write into ("type is unsupported"): their manifest is detached.
DETACHED = frozenset({"image/bmp", "video/webm", "video/x-matroska", "video/matroska"})


# c2pa-rs does not know APNG's own name; it is a PNG with more chunks.
_KNOWN_AS = {"image/apng": "image/png"}


def c2pa_type(media_type: str) -> str:
    """Return a media type as c2pa-rs knows it."""
    return _KNOWN_AS.get(media_type, media_type)


def mark_name(mark_id: int) -> str:
    """Return a mark id as it is written everywhere: eight hex digits."""
    return f"{mark_id:08x}"
