"""Identities: register a face once, list, read and erase identities."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from service import schemas
from service.caller import Caller
from service.identities.identity_views import identity_etag, identity_view, receipt_view
from service.identities.registration_request import read_registration
from service.intake.forms import FormRules
from service.protocol.idempotency import Created, fingerprint, key_of
from service.protocol.openapi import (
    FETCH,
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    JSON_BODY,
    MEDIA,
    header,
    json_body,
    problems,
    success,
)
from service.protocol.paging import next_link
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from worker.stores.identities.identity_records import IdentityRecord

router = APIRouter(prefix="/v1/identities", tags=["identities"])

Reader = Annotated[Caller, Depends(caller_with("identities:read", "identities:write"))]
Writer = Annotated[Caller, Depends(caller_with("identities:write"))]

_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "array",
            "minItems": 1,
            "maxItems": 8,
            "items": {"type": "string", "format": "binary"},
        },
        "name": {"type": "string"},
        "consent": {"type": "string", "description": "JSON, as in the JSON body."},
        "quality": {"type": "string", "enum": ["instant", "refined"]},
    },
}
# What the encoder may say of the photos; each has its own remedy for the client.
_PHOTO_FAILURES = (
    "no_face",
    "several_faces",
    "photos_disagree",
    "low_quality",
    "upload_in_use",
    "sexual_content",
    "apparent_minor",
    "age_unsure",
    "identity_blocked",
    "identity_review",
)
_ENROLMENT_FAILURES = ("enrolment_busy", "enrolment_unavailable", "refinement_unavailable")
REGISTRATION_FAILURES = (
    *("not_found", "consent_missing", "consent_expired"),
    *_PHOTO_FAILURES,
    *_ENROLMENT_FAILURES,
)
# Deleting and withdrawing answer alike: with the receipt.
_ERASURE = {200: success("The erasure's receipt."), **problems("not_found", "identity_erased")}


@router.post(
    "",
    status_code=201,
    response_model=schemas.Identity,
    responses={
        201: success("The identity, with a report for each photo.", "Location", "ETag"),
        **problems(*JSON_BODY, *MEDIA, *FETCH, *IDEMPOTENT, *REGISTRATION_FAILURES),
    },
    openapi_extra={
        **json_body(schemas.RegisterRequest, form=_FORM),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def create_identity(request: Request, caller: Writer, state: State) -> Response:
    """Register the face of one person from one to eight photos.

    The photos are deleted before the response is sent: also uploads named by `upload_ids`, other
    uploads with the same bytes, and jobs that used them as their input. Only a 5xx response leaves
    uploads as they were.
    """
    # Both bounds are the operator's: of photos, and of the bytes of each.
    rules = FormRules(("image",), state.settings.max_photos, state.settings.max_photo_bytes)
    async with state.uploads.incoming(caller.tenant) as incoming:
        registration = await read_registration(request, state.bodies, rules, incoming)

        async def create() -> Created:
            record = await state.registration.register(caller, registration, incoming)
            return _created(state, record)

        async def read(identity_id: str) -> Created:
            return _created(state, await _current(state, identity_id, caller.tenant))

        # The photos' hashes are part of it: the same fields with other photos are another request.
        mark = fingerprint(request, *registration.facts(incoming))
        return await state.idempotency.once(
            caller.tenant, key_of(request), mark, create=create, read=read
        )


@router.get(
    "",
    responses={
        200: success("A page of identities, newest first.", "Link"),
        **problems("invalid_cursor"),
    },
)
async def list_identities(
    request: Request,
    response: Response,
    caller: Reader,
    state: State,
    subject: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Only this `consent.subject`."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern="^idn_[0-9a-z]{26}$")] = None,
) -> schemas.IdentityList:
    """List the tenant's identities, or those of one person.

    A filtered page may be short, even empty, before the last one; go on while there is a cursor.
    """
    records, following = await to_thread.run_sync(
        _page, state, caller.tenant, limit, cursor, subject
    )
    response.headers.update(next_link(request, following))
    data = tuple(_view(state, record) for record in records)

    return schemas.IdentityList(data=data, next_cursor=following)


@router.get(
    "/{identity_id}",
    response_model=schemas.Identity,
    responses={
        200: success("The identity.", "ETag"),
        304: success("The identity is as `If-None-Match` says.", "ETag"),
        **problems("not_found", "identity_erased"),
    },
    openapi_extra={
        "parameters": [header("If-None-Match", "An ETag seen before.", {"type": "string"})]
    },
)
async def get_identity(
    identity_id: str, request: Request, response: Response, caller: Reader, state: State
) -> schemas.Identity | Response:
    """Return an identity."""
    # With the refinement's present state, which the stored record does not have.
    record = await _current(state, identity_id, caller.tenant)
    etag = identity_etag(record)

    # Compared as a whole: our tags are weak and never listed.
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})

    # A client that polls a refinement can then ask for changes only.
    response.headers["ETag"] = etag
    return _view(state, record)


@router.patch(
    "/{identity_id}",
    responses=problems(*JSON_BODY, "not_found", "identity_erased"),
    openapi_extra=json_body(schemas.IdentityChange),
)
async def rename_identity(
    identity_id: str, request: Request, caller: Writer, state: State
) -> schemas.Identity:
    """Change an identity's name. Its consent is a record, and cannot be changed."""
    change = await state.bodies.json(request, schemas.IdentityChange)
    await _current(state, identity_id, caller.tenant)
    await to_thread.run_sync(lambda: state.identities.annotate(identity_id, name=change.name))
    return _view(state, await _current(state, identity_id, caller.tenant))


@router.delete("/{identity_id}", responses=_ERASURE)
async def delete_identity(identity_id: str, caller: Writer, state: State) -> schemas.ErasureReceipt:
    """Erase an identity and cancel the jobs in flight that use it.

    Results that are made already stay until they expire.
    """
    erase = state.identity_eraser.erase
    # Results made under a consent that held are their owner's; only its withdrawal deletes them.
    return receipt_view(await to_thread.run_sync(erase, caller, identity_id, False))


@router.delete("/{identity_id}/consent", responses=_ERASURE)
async def withdraw_consent(
    identity_id: str, caller: Writer, state: State
) -> schemas.ErasureReceipt:
    """Withdraw the person's consent: erase the identity, cancel its jobs, delete their results."""
    erase = state.identity_eraser.erase
    return receipt_view(await to_thread.run_sync(erase, caller, identity_id, True))


@router.get(
    "/{identity_id}/erasure",
    responses={200: success("The erasure's receipt."), **problems("not_found")},
)
async def get_erasure(identity_id: str, caller: Reader, state: State) -> schemas.ErasureReceipt:
    """Return the receipt of an erasure.

    `log_rewritten_at` tells when it had reached the store's disk.
    """
    read = state.identities.receipt
    return receipt_view(await to_thread.run_sync(read, identity_id, caller.tenant))


def _page(
    state: AppState, tenant: str, limit: int, cursor: str | None, subject: str | None
) -> tuple[list[IdentityRecord], str | None]:
    records, following = state.identities.list(tenant, limit, cursor, subject)
    # A refinement job's state is read when asked for, not copied into the record at each step.
    return [state.refinement.with_progress(record) for record in records], following


async def _current(state: AppState, identity_id: str, tenant: str) -> IdentityRecord:
    return await to_thread.run_sync(state.refinement.identity, identity_id, tenant)


def _created(state: AppState, record: IdentityRecord) -> Created:
    return Created(
        id=record.id,
        path=f"/v1/identities/{record.id}",
        body=_view(state, record),
        headers={"ETag": identity_etag(record)},
    )


def _view(state: AppState, record: IdentityRecord) -> schemas.Identity:
    return identity_view(record, state.settings.require_consent)
