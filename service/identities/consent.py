"""Consent: required at registration, checked again for every job."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from service.protocol.problems import Refused, ServiceError
from service.schemas import Consent
from worker.contract.requests import JobKind
from worker.stores.identities.identity_records import IdentityRecord

_USE: dict[JobKind, Literal["image", "video", "export"]] = {
    "swap_image": "image",
    "swap_video": "video",
    "export": "export",
}
_WORDS = {"image": "image swaps", "video": "video swaps", "export": "exports to devices"}

# 128 bits: nobody tries them all to find out whose consent a hash stands for.
SALT_BYTES = 16


def check_registration(
    consent: Consent | None, required: bool, now: datetime | None = None
) -> None:
    """Raise consent_missing or consent_expired unless a face may be registered."""
    if consent is None:
        # Only an installation for a single user may do without (LIKENESS_REQUIRE_CONSENT).
        if required:
            raise ServiceError("consent_missing")
        return

    if consent.expires_at is not None and consent.expires_at <= (now or datetime.now(UTC)):
        raise ServiceError("consent_expired")


def check_use(
    identity: IdentityRecord, kind: JobKind, required: bool, now: datetime | None = None
) -> None:
    """Raise consent_missing, consent_expired or consent_scope unless `identity` may be used for a
    job of `kind`.
    """
    # The same rules again: a consent may have expired since.
    consent = consent_of(identity)
    check_registration(consent, required, now)
    use = _USE.get(kind)

    if consent is not None and use is not None and use not in consent.scope:
        raise ServiceError("consent_scope", f"The person's consent does not cover {_WORDS[use]}")


def consent_of(identity: IdentityRecord) -> Consent | None:
    """Return what the person agreed to; raises consent_missing when that cannot be read."""
    try:
        return Consent.model_validate(identity.consent) if identity.consent else None
    # A record that cannot be read must never count as a consent.
    except ValidationError as error:
        raise ServiceError(
            "consent_missing", "The identity's consent record cannot be read; register it again"
        ) from error


def consent_receipt(consent: Consent, identity_id: str, registered_at: float, salt: str) -> str:
    """Return the hash that outputs carry as proof of a consent, in hex.

    The salt lies with the identity and goes with it: without it a subject could be guessed from
    the hash, and after an erasure the hash says nothing about anybody.
    """
    facts = {
        "consent": consent.model_dump(mode="json"),
        "identity": identity_id,
        "registered_at": registered_at,
        "salt": salt,
    }

    # Canonical, so that whoever has the facts can compute the hash again.
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_age(band: str | None, consent: Consent | None) -> None:
    """Raise apparent_minor or age_unsure for somebody who may not be registered.

    An adult who looks younger than 25 can be registered with a consent that says `adult` and
    names the evidence. Nothing overrides an apparent minor.
    """
    # Before the consent is looked at: no evidence overrides it.
    if band == "under 18":
        raise Refused("apparent_minor", "age", band)

    # Both are needed: the statement, and the hash of what it rests on.
    is_attested = consent is not None and consent.adult and consent.evidence_sha256 is not None
    if band == "18 to 25" and not is_attested:
        raise Refused("age_unsure", "age", band)
