"""Registration of an identity: consent, photos, encoding, and the stored record."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence

from anyio import to_thread

from service import schemas
from service.caller import Caller
from service.identities.consent import (
    SALT_BYTES,
    check_age,
    check_registration,
    consent_receipt,
)
from service.identities.enrolment import EncodedFace, Enrolment
from service.identities.photos import PhotoOpener
from service.identities.refinement import Refinement
from service.identities.registration_request import RegistrationRequest
from service.intake.incoming import Incoming
from service.protocol.problems import Refused, ServiceError
from service.settings import Settings
from worker.blocklist.records import as_face
from worker.blocklist.screening import Case, Screening
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.ids import new_id


class Registration:
    """Registers identities."""

    def __init__(
        self,
        settings: Settings,
        identities: IdentityStore,
        photos: PhotoOpener,
        enrolment: Enrolment,
        refinement: Refinement,
        audit: AuditLog,
        screening: Screening | None = None,
    ) -> None:
        """Register as the settings say; `screening` is None where nobody is compared."""
        self._consent_required = settings.require_consent
        self._max_identities = settings.max_identities
        self._identities = identities
        self._photos = photos
        self._enrolment = enrolment
        self._refinement = refinement
        self._audit = audit
        self._screening = screening

    async def register(
        self, caller: Caller, request: RegistrationRequest, incoming: Incoming
    ) -> IdentityRecord:
        """Return the identity made of the photos, which are deleted before it is stored.

        Raises the photo problems, consent_missing, consent_expired, identity_blocked,
        identity_review, quota_exceeded, refinement_unavailable, upload_in_use, enrolment_busy,
        enrolment_unavailable.
        """
        # Before anything is fetched, opened or encoded for this client:
        check_registration(request.form.consent, self._consent_required)
        await to_thread.run_sync(self._check_room, caller.tenant, request.form)

        async with self._photos.opened(caller.tenant, request, incoming) as photos:
            try:
                face = await self._enrolment.encode(caller.tenant, photos.files)
                check_age(face.age_band, request.form.consent)
                await to_thread.run_sync(self._screen, caller, face, photos.digests)
            except Refused as refusal:
                await to_thread.run_sync(self._note_refusal, caller, refusal)
                raise

        return await to_thread.run_sync(self._store, caller, request, face, photos.digests)

    def _note_refusal(self, caller: Caller, refusal: Refused) -> None:
        self._audit.append(
            "request.refused",
            caller.tenant,
            caller.key_id,
            code=refusal.code,
            check=refusal.check,
            band=refusal.band,
        )

    def _screen(self, caller: Caller, face: EncodedFace, digests: Sequence[str]) -> None:
        """Raise identity_blocked or identity_review for somebody on the never-swap list."""
        if self._screening is None:
            return

        content = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
        case = Case(
            tenant=caller.tenant,
            actor=caller.key_id,
            place="registration",
            content=content,
            pack=face.pack,
        )
        decision = self._screening.decide(case, [as_face(face.embedding)])

        if decision.verdict == "blocked":
            raise Refused("identity_blocked", check="blocklist", band="blocked")
        if decision.verdict == "review":
            raise Refused(
                code="identity_review",
                check="blocklist",
                band="review",
                detail="The person resembles somebody who must not be swapped here; ask the"
                f" operator to release {decision.review_id}, then send the same photos again",
                review=decision.review_id,
            )

    def _check_room(self, tenant: str, form: schemas.RegisterForm) -> None:
        if form.quality == "refined":
            self._refinement.require()
        # Checked before the store, not within: two requests at once may pass the bound by one.
        if self._identities.count(tenant) >= self._max_identities:
            raise ServiceError(
                "quota_exceeded", f"A tenant may have {self._max_identities} identities"
            )

    def _store(
        self, caller: Caller, request: RegistrationRequest, face: EncodedFace, digests: list[str]
    ) -> IdentityRecord:
        form = request.form
        consent = form.consent
        identity_id = new_id("idn")
        now = time.time()
        # Drawn per identity, so that two receipts of one person cannot be linked.
        salt = secrets.token_hex(SALT_BYTES)
        record = IdentityRecord(
            id=identity_id,
            tenant=caller.tenant,
            pack=face.pack,
            created_at=now,
            name=form.name,
            expires_at=_end(request, now),
            photos=face.photos,
            # Hashes stay after the photos are gone, so that an erasure also finds later uploads of
            # them.
            photo_sha256=digests,
            consent=consent.model_dump(mode="json") if consent else None,
            consent_receipt=consent_receipt(consent, identity_id, now, salt) if consent else "",
            receipt_salt=salt,
        )

        # The weights too: the first swap should not pay for a rebuild.
        self._identities.put(record, face.code, face.weights)
        if form.quality == "refined":
            self._refinement.start(record)

        self._audit.append(
            "identity.registered",
            caller.tenant,
            caller.key_id,
            record.id,
            pack=record.pack,
            consent_receipt=record.consent_receipt,
            age_band=face.age_band or "not checked",
        )
        return self._refinement.identity(record.id, caller.tenant)


def _end(request: RegistrationRequest, now: float) -> float | None:
    """Return when the identity is to be erased: when consent ends, or before if asked for."""
    consent = request.form.consent
    ends = [consent.expires_at.timestamp()] if consent and consent.expires_at else []
    if request.erased_after_s is not None:
        ends.append(now + request.erased_after_s)
    return min(ends, default=None)
