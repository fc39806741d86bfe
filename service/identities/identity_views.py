"""An identity's record and its erasure's receipt as their owner sees them."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from service import schemas
from service.schemas.fields import at
from worker.stores.identities.identity_records import ErasureReceipt, IdentityRecord

log = logging.getLogger(__name__)


def identity_view(record: IdentityRecord, consent_required: bool) -> schemas.Identity:
    """Return the body that describes an identity.

    Parts of a record that do not fit the schema are left out, and the log names the record: its
    owner can still see it in the list, and erase it.
    """
    members = {
        "id": record.id,
        "name": record.name,
        "pack": record.pack,
        "quality": record.quality,
        "photos": [dict(photo) for photo in record.photos],
        "consent": dict(record.consent) if record.consent else None,
        "consent_required": consent_required,
        "cached": record.cached,
        "uses": record.uses,
        "created_at": at(record.created_at),
        "expires_at": at(record.expires_at) if record.expires_at else None,
        "refinement": record.refinement,
    }
    try:
        return schemas.Identity.model_validate(members)
    # Records outlive versions of the service, and a corrupt one must still be erasable.
    except ValidationError as error:
        bad = {str(finding["loc"][0]) for finding in error.errors()}
        log.error("identity is shown in part", extra={"identity": record.id, "bad": sorted(bad)})
        # `quality` has a default, and null would not fit it either.
        replaced = {name: () if name == "photos" else None for name in bad - {"quality"}}

        return schemas.Identity.model_validate({**members, **replaced})


def identity_etag(record: IdentityRecord) -> str:
    """Return the identity's entity tag; weak, because fields may be added to the view."""
    # Uses and the cache change without a new version, and are shown.
    return f'W/"{record.version}.{record.uses}.{int(record.cached)}.{record.quality}"'


def receipt_view(receipt: ErasureReceipt) -> schemas.ErasureReceipt:
    """Return the body that describes an erasure."""
    rewritten_at = receipt.log_rewritten_at
    return schemas.ErasureReceipt(
        identity_id=receipt.identity_id,
        erased_at=at(receipt.erased_at),
        keys=receipt.keys,
        jobs_canceled=receipt.jobs_canceled,
        results_deleted=receipt.results_deleted,
        log_rewritten_at=at(rewritten_at) if rewritten_at else None,
    )
