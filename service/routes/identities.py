"""Identities: register a face once, look at it, erase it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.identities.erasing import erase_identity
from service.identities.refinement import current, with_refinement
from service.identities.registration import Photos, read_registration, register
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.openapi import IDEMPOTENCY_KEY, header, json_body, problems, success
from service.protocol.paging import next_link
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of
from service.schemas.fields import at
from worker.stores.identity_store import ErasureReceipt, IdentityRecord

router = APIRouter(prefix="/v1/identities", tags=["identities"])

Writer = Annotated[Caller, Depends(caller_with("identities:write"))]
InParts = Annotated[Parts, Depends(parts_of)]

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
_FAILURES = (
    "invalid_json",
    "not_found",
    "consent_expired",
    "idempotency_in_progress",
    "body_too_large",
    "media_too_large",
    "unsupported_media_type",
    "invalid_request",
    "undecodable",
    "no_face",
    "several_faces",
    "photos_disagree",
    "low_quality",
    "consent_missing",
    "refinement_unavailable",
    "idempotency_mismatch",
    "fetch_refused",
    "fetch_failed",
    "quota_exceeded",
    "enrolment_busy",
    "enrolment_unavailable",
    "disk_full",
)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Identity,
    responses={
        201: success("The identity, with a report for each photo.", "Location", "ETag"),
        **problems(*_FAILURES),
    },
    openapi_extra={
        **json_body(schemas.RegisterRequest, form=_FORM),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def create_identity(request: Request, caller: Writer, parts: InParts) -> Response:
    """Register the face of one person from one to eight photos; the photos are not kept."""
    with ExitStack() as cleanup:
        photos = Photos(cleanup)
        form = await read_registration(request, caller, parts, photos)
        key, mark = key_of(request), fingerprint(request, *photos.digests, form.model_dump_json())

        async def create() -> JSONResponse:
            record = await register(parts, caller, form, photos)
            response = _response(parts, record, 201)
            response.headers["Location"] = f"/v1/identities/{record.id}"
            return response

        return await parts.idempotency.once(caller.tenant, key, mark, create)


@router.get(
    "",
    response_model=schemas.IdentityList,
    responses={
        200: success("A page of identities, newest first.", "Link"),
        **problems("invalid_cursor"),
    },
)
async def list_identities(
    request: Request,
    caller: Writer,
    parts: InParts,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern="^idn_[0-9a-z]{26}$")] = None,
) -> JSONResponse:
    """List the tenant's identities."""
    records, following = await to_thread.run_sync(_page, parts, caller.tenant, limit, cursor)
    body = schemas.IdentityList(
        data=tuple(_view(parts, record) for record in records), next_cursor=following
    )
    return JSONResponse(body.model_dump(mode="json"), headers=next_link(request, following))


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
    identity_id: str, request: Request, caller: Writer, parts: InParts
) -> Response:
    """Return an identity."""
    record = await to_thread.run_sync(current, parts, identity_id, caller.tenant)
    if request.headers.get("if-none-match") == _etag(record):
        return Response(status_code=304, headers={"ETag": _etag(record)})
    return _response(parts, record)


@router.delete(
    "/{identity_id}",
    response_model=schemas.ErasureReceipt,
    responses={200: success("The erasure's receipt."), **problems("not_found", "identity_erased")},
)
async def delete_identity(identity_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Erase an identity and cancel the jobs in flight that use it.

    Their results so far stay until they expire.
    """
    return _receipt(*await to_thread.run_sync(erase_identity, parts, caller, identity_id, False))


@router.delete(
    "/{identity_id}/consent",
    response_model=schemas.ErasureReceipt,
    responses={200: success("The erasure's receipt."), **problems("not_found", "identity_erased")},
)
async def withdraw_consent(identity_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Withdraw the person's consent: the identity is erased, its jobs are canceled and their
    results deleted.
    """
    return _receipt(*await to_thread.run_sync(erase_identity, parts, caller, identity_id, True))


@router.get(
    "/{identity_id}/erasure",
    response_model=schemas.ErasureReceipt,
    responses={200: success("The erasure's receipt."), **problems("not_found")},
)
async def get_erasure(identity_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Return the receipt of an erasure.

    `log_rewritten_at` tells when it had reached the store's disk.
    """
    return _receipt(await to_thread.run_sync(parts.identities.receipt, identity_id, caller.tenant))


def _page(
    parts: Parts, tenant: str, limit: int, cursor: str | None
) -> tuple[list[IdentityRecord], str | None]:
    records, following = parts.identities.list(tenant, limit, cursor)
    return [with_refinement(parts, record) for record in records], following


def _receipt(
    receipt: ErasureReceipt, jobs_canceled: int | None = None, results_deleted: int | None = None
) -> JSONResponse:
    body = schemas.ErasureReceipt(
        identity_id=receipt.identity_id,
        erased_at=at(receipt.erased_at),
        keys=receipt.keys,
        jobs_canceled=jobs_canceled,
        results_deleted=results_deleted,
        log_rewritten_at=at(receipt.log_rewritten_at) if receipt.log_rewritten_at else None,
    )
    return JSONResponse(body.model_dump(mode="json"))


def _response(parts: Parts, record: IdentityRecord, status: int = 200) -> JSONResponse:
    return JSONResponse(
        _view(parts, record).model_dump(mode="json"), status, headers={"ETag": _etag(record)}
    )


def _view(parts: Parts, record: IdentityRecord) -> schemas.Identity:
    consent: dict[str, Any] | None = dict(record.consent) if record.consent else None
    return schemas.Identity.model_validate(
        {
            "id": record.id,
            "name": record.name,
            "pack": record.pack,
            "quality": record.quality,
            "photos": [dict(photo) for photo in record.photos],
            "consent": consent,
            "consent_required": parts.settings.require_consent,
            "cached": record.cached,
            "uses": record.uses,
            "created_at": at(record.created_at),
            "expires_at": at(record.expires_at) if record.expires_at else None,
            "refinement": record.refinement,
        }
    )


def _etag(record: IdentityRecord) -> str:
    return f'W/"{record.version}.{record.uses}.{int(record.cached)}.{record.quality}"'
