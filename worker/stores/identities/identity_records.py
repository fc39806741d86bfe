"""What is recorded of an identity and of its erasure, as hashes in the store and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.stores.connection import Reply, text_fields

# A field of a hash costs the store some 60 bytes beside its name and value: as 20 of them, what is
# only read together would take a kilobyte more for each identity.
ABOUT = "about"


@dataclass(frozen=True)
class IdentityRecord:
    """What may be shown of an identity; times are seconds since the epoch."""

    id: str
    tenant: str
    pack: str
    created_at: float
    name: str | None = None
    expires_at: float | None = None
    quality: str = "instant"
    photos: Sequence[Mapping[str, Any]] = ()
    photo_sha256: Sequence[str] = ()  # so that erasure also finds later uploads of these photos
    consent: Mapping[str, Any] | None = None
    consent_receipt: str = ""  # hash of consent, identity and `receipt_salt`; in outputs
    receipt_salt: str = ""
    refinement: Mapping[str, Any] | None = None
    uses: int = 0
    cached: bool = False
    version: int = 1


@dataclass(frozen=True)
class ErasureReceipt:
    """Proof of an erasure.

    `log_rewritten_at` is None until the store's append-only file is rewritten too.
    """

    identity_id: str
    erased_at: float
    keys: int
    log_rewritten_at: float | None
    jobs: Sequence[str] = ()
    photo_sha256: Sequence[str] = ()
    jobs_canceled: int | None = None
    results_deleted: int | None = None


def identity_fields(record: IdentityRecord) -> dict[str, str | int | bytes]:
    """Return an identity's hash: what changes or is asked for alone, and the rest in one field."""
    about = {
        "pack": record.pack,
        "created_at": repr(record.created_at),
        "name": json.dumps(record.name),
        "expires_at": json.dumps(record.expires_at),
        "photos": json.dumps([dict(photo) for photo in record.photos]),
        "photo_sha256": json.dumps(list(record.photo_sha256)),
        "consent": json.dumps(dict(record.consent) if record.consent else None),
        "consent_receipt": record.consent_receipt,
        "receipt_salt": record.receipt_salt,
    }
    return {
        "tenant": record.tenant,
        "quality": json.dumps(record.quality),
        "refinement": json.dumps(dict(record.refinement) if record.refinement else None),
        "uses": record.uses,
        "version": record.version,
        ABOUT: zlib.compress(json.dumps(about, separators=(",", ":")).encode(), level=9),
    }


def stored_fields(identity_id: str, reply: Reply) -> dict[str, str]:
    """Return the fields of a hash as the store has it; empty when there is none."""
    packed = reply.pop(ABOUT.encode(), None)
    fields = text_fields(reply)
    if packed is None:
        return fields

    # What was changed since has a field of its own.
    return {**json.loads(zlib.decompress(packed)), **fields, "id": identity_id}


def read_identity(fields: Mapping[str, str], cached: bool) -> IdentityRecord:
    """Return the identity in a hash; `cached` tells whether its weights are there."""
    return IdentityRecord(
        id=fields["id"],
        tenant=fields["tenant"],
        pack=fields["pack"],
        created_at=float(fields["created_at"]),
        name=json.loads(fields["name"]),
        expires_at=json.loads(fields["expires_at"]),
        quality=json.loads(fields["quality"]),
        photos=json.loads(fields["photos"]),
        photo_sha256=json.loads(fields.get("photo_sha256", "[]")),
        consent=json.loads(fields["consent"]),
        consent_receipt=fields.get("consent_receipt", ""),
        receipt_salt=fields.get("receipt_salt", ""),
        refinement=json.loads(fields["refinement"]),
        uses=int(fields["uses"]),
        cached=cached,
        version=int(fields["version"]),
    )


def read_receipt(
    identity_id: str, tombstone: Mapping[str, str], rewritten_at: float | None
) -> ErasureReceipt:
    """Return the receipt in a tombstone; `rewritten_at` is the append-only file's last rewrite."""
    erased_at = float(tombstone["erased_at"])
    is_rewritten = rewritten_at is not None and rewritten_at >= erased_at

    return ErasureReceipt(
        identity_id=identity_id,
        erased_at=erased_at,
        keys=int(tombstone["keys"]),
        log_rewritten_at=rewritten_at if is_rewritten else None,
        jobs_canceled=_count(tombstone, "jobs_canceled"),
        results_deleted=_count(tombstone, "results_deleted"),
    )


def _count(tombstone: Mapping[str, str], name: str) -> int | None:
    return int(tombstone[name]) if name in tombstone else None
