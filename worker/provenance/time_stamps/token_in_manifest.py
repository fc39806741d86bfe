"""RFC 3161 time-stamps of C2PA signatures: put into a signed file after it was signed.

c2pa-rs asks an authority from the process that signs, which has no network here. It leaves 10 KB
of padding in the signature's COSE structure for the answer, outside of what is signed or hashed:
the token takes the place of a part of it, and nothing else in the file changes.
"""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path

# COSE_Sign1 as c2pa-rs writes it: {"pad": bytes}, then nil for the detached claim, then r and s.
_COSE_SIGN1 = b"\xd2\x84"
_PAD_KEY = b"\xa1\x63pad\x59"
_NIL_AND_SIGNATURE = b"\xf6\x58\x40"
_SIGNATURE_BYTES = 64
# {"sigTst2": {"tstTokens": [{"val": bytes}]}, "pad": bytes}, as C2PA 2.1 has it (section 10.3.2.5).
_TOKEN_KEY = b"\xa2\x67sigTst2\xa1\x69tstTokens\x81\xa1\x63val\x59"
_REST_KEY = b"\x63pad\x59"
_GIF_BLOCK_BYTES = 255


@dataclass(frozen=True)
class _Cose:
    """Where the padding of the active manifest's signature lies in a manifest store."""

    start: int
    pad_bytes: int

    @property
    def end(self) -> int:
        return self.start + len(_PAD_KEY) + 2 + self.pad_bytes


def stamped_message(manifest: bytes) -> bytes | None:
    """Return what an authority is to stamp, None where a manifest has no signature of ours.

    It is the countersignature's structure of RFC 8152 over the signature, as c2pa-rs checks it:
    ["CounterSignature", protected header, "", signature as a CBOR byte string].
    """
    cose = _find(manifest)
    if cose is None:
        return None

    protected = manifest[manifest.rfind(_COSE_SIGN1, 0, cose.start) + len(_COSE_SIGN1) : cose.start]
    end = cose.end + len(_NIL_AND_SIGNATURE) + _SIGNATURE_BYTES
    signature = manifest[cose.end + 1 : end]
    return b"\x84\x70CounterSignature" + protected + b"\x40\x58\x42" + signature


def with_token(manifest: bytes, token: bytes) -> bytes | None:
    """Return a manifest store of the same length with a token in it; None where it has no room."""
    cose = _find(manifest)
    if cose is None:
        return None

    room = cose.end - cose.start
    rest = room - len(_TOKEN_KEY) - 2 - len(token) - len(_REST_KEY) - 2
    if rest < 0 or len(token) > 0xFFFF:
        return None

    unprotected = _TOKEN_KEY + len(token).to_bytes(2, "big") + token
    unprotected += _REST_KEY + rest.to_bytes(2, "big") + bytes(rest)
    return manifest[: cose.start] + unprotected + manifest[cose.end :]


def replace_manifest(path: Path, old: bytes, new: bytes, media_type: str) -> bool:
    """Write `new` where a file holds `old`, which is as long; False where it is not found whole.

    JPEGs whose manifest takes several segments (over 64 KB) are left as they are.
    """
    framed = _gif_blocks if media_type == "image/gif" else bytes
    held = framed(old)

    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        place = content.find(held)
        if place < 0:
            return False

        content[place : place + len(held)] = framed(new)
        if media_type == "image/png":
            end = place + len(held)
            chunk = content[place - 4 : end]  # the type and the data, as PNG's checksum has it
            content[end : end + 4] = zlib.crc32(chunk).to_bytes(4, "big")

    return True


def _find(manifest: bytes) -> _Cose | None:
    """Find the last signature, which is the active manifest's."""
    start = manifest.rfind(_PAD_KEY)
    if start < 0:
        return None

    length = int.from_bytes(manifest[start + len(_PAD_KEY) :][:2], "big")
    cose = _Cose(start=start, pad_bytes=length)
    is_whole = manifest[cose.end : cose.end + 3] == _NIL_AND_SIGNATURE
    return cose if is_whole else None


def _gif_blocks(data: bytes) -> bytes:
    """Return data as GIF has it: blocks of at most 255 bytes, each behind its length."""
    blocks = [
        data[start : start + _GIF_BLOCK_BYTES] for start in range(0, len(data), _GIF_BLOCK_BYTES)
    ]
    return b"".join(bytes([len(block)]) + block for block in blocks)
