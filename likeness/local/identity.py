"""Registers the person of a few photos for one command: the service's rules and its own child.

Nothing is kept: the identity lives as long as the command.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from likeness.errors import CommandError
from service.identities.consent import (
    SALT_BYTES,
    check_age,
    check_registration,
    check_use,
    consent_receipt,
)
from service.identities.enrolment import EncodedFace, Enrolment
from service.protocol.observability import Metrics
from service.schemas import Consent
from service.settings import Settings
from worker.contract.requests import JobKind
from worker.errors import UnknownIdentity
from worker.media.media_types import refusal, sniff_file
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id

# The tenant of keys that name none: records of this command and of a service agree.
TENANT = "default"


@dataclass(frozen=True)
class LocalIdentity:
    """One registered person; implements what a job asks of its identities.

    A job of this command names one identity and no other.
    """

    record: IdentityRecord
    face: EncodedFace

    def require_allowed(self, kind: JobKind, required: bool) -> None:
        """Raise ServiceError unless the consent covers a job of this kind."""
        check_use(self.record, kind, required)

    def peek(self, identity_id: str, tenant: str) -> IdentityRecord:
        """Return the record; raises UnknownIdentity."""
        if identity_id != self.record.id:
            raise UnknownIdentity
        return self.record

    def quality(self, identity_id: str) -> str:
        """Return "instant"."""
        return self.peek(identity_id, TENANT).quality

    def code(self, identity_id: str) -> bytes:
        """Return the identity's code."""
        self.peek(identity_id, TENANT)
        return self.face.code

    def weights_or_build(
        self, identity_id: str, pack: str, build: Callable[[bytes], bytes]
    ) -> bytes:
        """Return the weights that came with the registration, by the same pack."""
        self.peek(identity_id, TENANT)
        return self.face.weights

    def put_refined(
        self, identity_id: str, pack: str, weights: bytes, refinement: Mapping[str, Any]
    ) -> None:
        """Refuse: an identity that ends with the command is not refined."""
        raise UnknownIdentity


def register(photos: Sequence[Path], consent: Consent | None, settings: Settings) -> LocalIdentity:
    """Return the identity of the person in the photos.

    Raises ServiceError with the code of the photo problem or of the missing consent, and
    CommandError for a file that is no photo.
    """
    # First of all: without a consent nobody's photo is opened.
    check_registration(consent, settings.require_consent)
    if len(photos) > settings.max_photos:
        raise CommandError(
            f"{len(photos)} photos are too many: give 1 to {settings.max_photos} of one person"
        )

    with ExitStack() as stack:
        # Opened once: the bytes that are hashed are those that are encoded.
        files = [stack.enter_context(_opened(photo, settings)) for photo in photos]
        digests = [_digest(file) for file in files]
        face = asyncio.run(_encode(files, settings))

    # Only now, since the encoder's child is what estimates the age.
    check_age(face.age_band, consent)
    return LocalIdentity(_record(face, consent, digests), face)


def _opened(photo: Path, settings: Settings) -> BinaryIO:
    # Before the file is read: its size is what bounds the memory of hashing it.
    size = photo.stat().st_size
    if size > settings.max_photo_bytes:
        raise CommandError(
            f"{photo} has {size:,} bytes, and a photo may have {settings.max_photo_bytes:,}:"
            " save it smaller"
        )

    file = photo.open("rb")
    media_type, head = sniff_file(file)
    if media_type is None:
        # The caller closes what is returned; this one is not.
        file.close()
        raise CommandError(f"{photo} cannot be used: {refusal(head)}")
    if not media_type.startswith("image/"):
        file.close()
        raise CommandError(f"{photo} is a video: a face is registered from photos of the person")

    return file


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256(file.read()).hexdigest()
    # The child reads from where the descriptor stands.
    file.seek(0)
    return digest


async def _encode(files: Sequence[BinaryIO], settings: Settings) -> EncodedFace:
    enrolment = Enrolment(settings, Metrics())
    try:
        return await enrolment.encode(TENANT, files)
    finally:
        # It ends the child, which has the encoder in memory while the swap needs it.
        await enrolment.stop()


def _record(face: EncodedFace, consent: Consent | None, digests: Sequence[str]) -> IdentityRecord:
    identity_id = new_id("idn")
    now = time.time()
    salt = secrets.token_hex(SALT_BYTES)

    return IdentityRecord(
        id=identity_id,
        tenant=TENANT,
        pack=face.pack,
        created_at=now,
        photos=face.photos,
        photo_sha256=digests,
        consent=consent.model_dump(mode="json") if consent else None,
        consent_receipt=consent_receipt(consent, identity_id, now, salt) if consent else "",
        receipt_salt=salt,
    )
