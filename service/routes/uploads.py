"""Uploads: a file comes in once and can then be named by jobs and registrations."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.intake.media_types import IMAGE_TYPES, VIDEO_TYPES
from service.intake.uploads import Declared, content_digest, upload_view
from service.protocol.bodies import BodyLimits, media_type, stream
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.openapi import IDEMPOTENCY_KEY, header, problems, success
from service.protocol.problems import ServiceError
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of
from worker.stores.media_store import MediaRecord

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": dict.fromkeys((*IMAGE_TYPES, *VIDEO_TYPES), _BINARY),
    },
    "parameters": [
        IDEMPOTENCY_KEY,
        header(
            "Content-Digest",
            "`sha-256=:…:` of the body (RFC 9530), checked.",
            {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        ),
    ],
}
_FAILURES = (
    "body_too_large",
    "media_too_large",
    "unsupported_media_type",
    "invalid_request",
    "undecodable",
    "digest_mismatch",
    "idempotency_mismatch",
    "idempotency_in_progress",
    "disk_full",
)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Upload,
    responses={201: success("The upload.", "Location"), **problems(*_FAILURES)},
    openapi_extra=_DOCUMENTED,
)
async def create_upload(
    request: Request,
    caller: Annotated[Caller, Depends(caller_with("jobs:write"))],
    parts: Annotated[Parts, Depends(parts_of)],
) -> Response:
    """Store the raw body: a picture or a film."""
    if not media_type(request).startswith(("image/", "video/")):
        raise ServiceError("unsupported_media_type", "Content-Type must be image/* or video/*")
    key, settings = key_of(request), parts.settings
    declared = Declared(
        media_type(request), True, content_digest(request.headers.get("content-digest"))
    )
    limits = BodyLimits(
        settings.max_upload_bytes, settings.body_idle_timeout_s, settings.body_timeout_s
    )
    incoming = await parts.intake.take(
        caller.tenant, stream(request, limits), declared, settings.max_upload_bytes
    )

    async def create() -> JSONResponse:
        return upload_created(await to_thread.run_sync(parts.intake.keep, incoming))

    try:
        return await parts.idempotency.once(
            caller.tenant, key, fingerprint(request, incoming.sha256), create
        )
    finally:
        incoming.discard()


@router.get("/{upload_id}", response_model=schemas.Upload, responses=problems("not_found"))
async def get_upload(
    upload_id: str,
    caller: Annotated[Caller, Depends(caller_with("jobs:read"))],
    parts: Annotated[Parts, Depends(parts_of)],
) -> JSONResponse:
    """Return what is known of an upload that has not expired."""
    record = await to_thread.run_sync(parts.media.stat, upload_id, caller.tenant)
    return JSONResponse(upload_view(record).model_dump(mode="json"))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "The upload is gone."},
        **problems("not_found", "upload_in_use"),
    },
)
async def delete_upload(
    upload_id: str,
    caller: Annotated[Caller, Depends(caller_with("jobs:write"))],
    parts: Annotated[Parts, Depends(parts_of)],
) -> Response:
    """Remove an upload before it expires, unless a job in flight needs it."""
    record = await to_thread.run_sync(parts.media.stat, upload_id, caller.tenant)
    if not await to_thread.run_sync(parts.media.delete_unless_held, record.id):
        raise ServiceError("upload_in_use")
    return Response(status_code=204)


def upload_created(record: MediaRecord) -> JSONResponse:
    """Return the 201 for a new upload."""
    headers = {"Location": f"/v1/uploads/{record.id}"}
    return JSONResponse(upload_view(record).model_dump(mode="json"), 201, headers=headers)
