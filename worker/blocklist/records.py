"""An entry of the never-swap list, and what is stored of it."""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from worker.stores.ids import new_id

Reason = Literal["self", "public_figure", "legal"]
State = Literal["pending", "active"]
# A face's embedding of unit length, as single floats.
Face: TypeAlias = "array[float]"


@dataclass(frozen=True)
class BlocklistEntry:
    """Somebody on the list, without the face. Times are seconds since the epoch.

    `pack` names the model pack whose encoder saw the photos: its faces cannot be compared with
    those of another. `added_by` is the tenant and key of an operator, or "person".
    """

    id: str
    state: State
    reason: Reason
    pack: str
    label: str
    contact: str
    added_by: str
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class BlockedFace:
    """What a face is compared with."""

    entry_id: str
    pack: str
    face: Face


def new_entry(
    *,
    state: State,
    reason: Reason,
    pack: str,
    label: str,
    contact: str,
    added_by: str,
    keep_s: float,
) -> BlocklistEntry:
    """Return an entry with a fresh id that ends after `keep_s` seconds."""
    now = time.time()
    return BlocklistEntry(
        id=new_id("blk"),
        state=state,
        reason=reason,
        # Without its hash: a pack keeps its encoder when other files of it change.
        pack=pack.partition("@")[0],
        label=label,
        contact=contact,
        added_by=added_by,
        created_at=now,
        expires_at=now + keep_s,
    )


def as_face(data: bytes) -> Face:
    """Return the embedding in bytes of little-endian float32; raises ValueError."""
    face = array("f")
    face.frombytes(data)
    return face


def to_fields(entry: BlocklistEntry, token: str) -> dict[str, str]:
    """Return what is stored of an entry in the open, with the hash of its person's token."""
    return {
        "id": entry.id,
        "state": entry.state,
        "reason": entry.reason,
        "pack": entry.pack,
        "added_by": entry.added_by,
        "created_at": repr(entry.created_at),
        "expires_at": repr(entry.expires_at),
        "token_sha256": hashlib.sha256(token.encode()).hexdigest() if token else "",
    }


def from_fields(fields: Mapping[str, str], opened: Mapping[str, str]) -> BlocklistEntry:
    """Return an entry from its fields and what was sealed of it."""
    return BlocklistEntry(
        id=fields["id"],
        state=cast(State, fields["state"]),
        reason=cast(Reason, fields["reason"]),
        pack=fields["pack"],
        label=opened["label"],
        contact=opened["contact"],
        added_by=fields["added_by"],
        created_at=float(fields["created_at"]),
        expires_at=float(fields["expires_at"]),
    )
