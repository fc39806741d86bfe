"""Identifiers: a prefix and a UUIDv7 (RFC 9562) in 26 characters of Crockford base32, sorting by
time of creation.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Literal

Prefix = Literal["job", "idn", "upl", "whe", "msg", "blk", "ins", "bat"]
# Crockford's: without i, l, o and u, which are misread.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Checked before an id becomes a key or a path.
PATTERN = re.compile(rf"([a-z]{{3}})_([{ALPHABET}]{{26}})")


def new_id(prefix: Prefix, now_s: float | None = None) -> str:
    """Return a new identifier such as `job_01k…`.

    Two made in the same millisecond differ but have no order.
    """
    milliseconds = int((time.time() if now_s is None else now_s) * 1000)
    # 74 bits stay random: ids cannot be guessed from each other.
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)  # version 7
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant of RFC 9562

    return f"{prefix}_{_base32(value)}"


def is_id(text: str, prefix: Prefix) -> bool:
    """Whether `text` has the shape of an identifier with this prefix.

    Nothing else may become a key or a path.
    """
    match = PATTERN.fullmatch(text)
    return match is not None and match[1] == prefix


def _base32(value: int) -> str:
    # 26 digits of five bits hold the 128, the highest first, so that text sorts as the number does.
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
