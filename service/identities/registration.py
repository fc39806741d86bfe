"""From photos to a stored identity: taken in, shown to the enrolment child, gone when the answer is
ready.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request

from service import schemas
from service.caller import Caller
from service.gauges import count_identities
from service.identities.consent import check_registration
from service.identities.enrolment import Enrolled
from service.identities.refinement import current, require_refinement, start_refinement
from service.intake.uploads import Declared, Incoming
from service.protocol.bodies import (
    BodyLimits,
    MultipartReader,
    json_limits,
    media_type,
    parse_fields,
    read_json,
)
from service.protocol.problems import ServiceError
from service.routes.parts import Parts
from worker.stores.identity_store import IdentityRecord
from worker.stores.ids import new_id

_MAX_FIELD_BYTES = 16 * 1024


class Photos:
    """The open photos of one registration; whatever was written for them goes with `cleanup`."""

    def __init__(self, cleanup: ExitStack) -> None:
        self._cleanup = cleanup
        self.files: list[BinaryIO] = []
        self.digests: list[str] = []

    def add_incoming(self, photo: Incoming) -> None:
        """Add a photo that came with the request and is not kept."""
        self._cleanup.callback(photo.discard)
        self.add(photo.open(), photo.sha256, photo.facts.media_type)

    def add(self, file: BinaryIO, sha256: str, kind: str) -> None:
        """Add an open photo; raises unsupported_media_type for a film."""
        self._cleanup.enter_context(file)
        if not kind.startswith("image/"):
            raise ServiceError(
                "unsupported_media_type", "A face is registered from pictures, not from films"
            )
        self.files.append(file)
        self.digests.append(sha256)


async def read_registration(
    request: Request, caller: Caller, parts: Parts, photos: Photos
) -> schemas.RegisterForm:
    """Take in a registration's photos and return what was said beside them."""
    if media_type(request) == "multipart/form-data":
        return await _read_form(request, caller, parts, photos)
    body = await read_json(request, schemas.RegisterRequest, json_limits(parts.settings))
    check_registration(body.consent, parts.settings.require_consent)  # before anything is fetched
    for upload_id in body.upload_ids or ():
        record = await to_thread.run_sync(parts.media.stat, upload_id, caller.tenant)
        file = await to_thread.run_sync(parts.media.open, upload_id, caller.tenant)
        photos.add(file, record.sha256, record.facts.media_type)
    for url in body.urls or ():
        chunks = parts.fetcher.fetch(url)
        photos.add_incoming(
            await parts.intake.take(
                caller.tenant, chunks, Declared(), parts.settings.max_photo_bytes
            )
        )
    return schemas.RegisterForm(name=body.name, consent=body.consent, quality=body.quality)


async def _read_form(
    request: Request, caller: Caller, parts: Parts, photos: Photos
) -> schemas.RegisterForm:
    settings = parts.settings
    max_bytes = settings.max_photos * settings.max_photo_bytes + 4 * _MAX_FIELD_BYTES
    limits = BodyLimits(max_bytes, settings.body_idle_timeout_s, settings.body_timeout_s)
    fields: dict[str, str] = {}
    async for part in MultipartReader(request, limits).parts():
        if part.filename is None:
            fields[part.name] = await part.text(_MAX_FIELD_BYTES)
        elif part.name != "image" or len(photos.files) >= settings.max_photos:
            raise ServiceError(
                "invalid_request", f"Send one to {settings.max_photos} photos, each as image"
            )
        else:
            declared = Declared(part.content_type)
            photo = await parts.intake.take(
                caller.tenant, part.chunks(), declared, settings.max_photo_bytes
            )
            photos.add_incoming(photo)
    if not photos.files:
        raise ServiceError("invalid_request", "The form has no image")
    return parse_fields(fields, schemas.RegisterForm, ("consent",))


async def register(
    parts: Parts, caller: Caller, form: schemas.RegisterForm, photos: Photos
) -> IdentityRecord:
    """Turn the photos into a stored identity.

    Raises the photo problems, consent_missing, refinement_unavailable.
    """
    check_registration(form.consent, parts.settings.require_consent)
    if form.quality == "refined":
        await to_thread.run_sync(require_refinement, parts)
    await to_thread.run_sync(_check_room, parts, caller.tenant)
    enrolled = await parts.enrolment.register(photos.files)
    return await to_thread.run_sync(_store, parts, caller, form, enrolled)


def _check_room(parts: Parts, tenant: str) -> None:
    if count_identities(parts.redis, tenant) >= parts.settings.max_identities:
        raise ServiceError(
            "quota_exceeded", f"A tenant may have {parts.settings.max_identities} identities"
        )


def _store(
    parts: Parts, caller: Caller, form: schemas.RegisterForm, enrolled: Enrolled
) -> IdentityRecord:
    consent = form.consent.model_dump(mode="json") if form.consent else None
    expires_at = (
        form.consent.expires_at.timestamp() if form.consent and form.consent.expires_at else None
    )
    record = IdentityRecord(
        id=new_id("idn"),
        tenant=caller.tenant,
        pack=enrolled.pack,
        created_at=time.time(),
        name=form.name,
        expires_at=expires_at,
        photos=enrolled.photos,
        consent=consent,
    )
    parts.identities.put(record, enrolled.code, enrolled.weights)
    if form.quality == "refined":
        start_refinement(parts, record)
    parts.audit.append(
        "identity.registered", caller.tenant, caller.key_id, record.id, pack=record.pack
    )
    return current(parts, record.id, caller.tenant)
