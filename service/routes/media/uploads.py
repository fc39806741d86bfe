"""Uploads: files that jobs and registrations can name by id."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from service import schemas
from service.caller import Caller
from service.intake.forms import FormRules, read_form
from service.intake.incoming import Declared
from service.protocol.bodies import media_type
from service.protocol.content_digest import content_digest
from service.protocol.idempotency import Created, fingerprint, key_of
from service.protocol.openapi import (
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    MEDIA,
    header,
    problems,
    success,
)
from service.protocol.paging import next_link
from service.protocol.problems import ServiceError
from service.routes.app_state import State
from service.routes.auth import caller_with
from service.schemas.fields import at
from worker.media.media_types import ACCEPTED_IMAGES, ACCEPTED_VIDEOS
from worker.stores.media.uploads import MediaRecord

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": _BINARY},
}
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "description": (
            "The file, raw or as `file` of a form, under any media type or none: the bytes decide"
            f" what it is. Images: {ACCEPTED_IMAGES}. Videos: {ACCEPTED_VIDEOS}."
        ),
        "content": {
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {"schema": _FORM},
        },
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


@router.post(
    "",
    status_code=201,
    response_model=schemas.Upload,
    responses={
        201: success("The upload.", "Location"),
        **problems(*MEDIA, *IDEMPOTENT, "digest_mismatch"),
    },
    openapi_extra=_DOCUMENTED,
)
async def create_upload(request: Request, caller: Writer, state: State) -> Response:
    """Store an image or a video, which jobs and registrations can name for a day."""
    declared = Declared(
        media_type=media_type(request),
        sha256=content_digest(request.headers.get("content-digest")),
    )
    # Read first: a malformed header is refused before the body arrives.
    key = key_of(request)
    max_bytes = state.settings.max_upload_bytes

    async with state.uploads.incoming(caller.tenant) as incoming:
        # Browsers' forms cannot send a raw body.
        if declared.media_type == "multipart/form-data":
            rules = FormRules(("file",), 1, max_bytes)
            await read_form(request, state.bodies, (rules, incoming))
            file = incoming.files[0]
        else:
            chunks = state.bodies.stream(request, max_bytes)
            file = await incoming.receive(chunks, declared, max_bytes)

        async def create() -> Created:
            ttl_s = float(state.settings.upload_ttl_s)
            return _created(await to_thread.run_sync(file.keep, ttl_s))

        async def read(upload_id: str) -> Created:
            return _created(await to_thread.run_sync(state.media.stat, upload_id, caller.tenant))

        # Only known once the body is read: an upload with the same key and other bytes is a
        # mistake.
        mark = fingerprint(request, file.sha256)
        return await state.idempotency.once(caller.tenant, key, mark, create=create, read=read)


@router.get(
    "",
    responses={
        200: success("A page of uploads, newest first.", "Link"),
        **problems("invalid_cursor"),
    },
)
async def list_uploads(
    request: Request,
    response: Response,
    caller: Reader,
    state: State,
    limit: Annotated[int, Query(ge=1, le=200, description="Uploads a page.")] = 50,
    cursor: Annotated[
        str | None,
        Query(pattern="^upl_[0-9a-z]{26}$", description="`next_cursor` of the page before."),
    ] = None,
) -> schemas.UploadList:
    """List the tenant's uploads that have not expired."""
    read = state.media.list
    records, following = await to_thread.run_sync(read, caller.tenant, limit, cursor)
    response.headers.update(next_link(request, following))
    return schemas.UploadList(data=tuple(map(upload_view, records)), next_cursor=following)


@router.get("/{upload_id}", responses=problems("not_found"))
async def get_upload(upload_id: str, caller: Reader, state: State) -> schemas.Upload:
    """Return what is known of an upload that has not expired."""
    return upload_view(await to_thread.run_sync(state.media.stat, upload_id, caller.tenant))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "The upload is deleted."},
        **problems("not_found", "upload_in_use"),
    },
)
async def delete_upload(upload_id: str, caller: Writer, state: State) -> Response:
    """Delete an upload before it expires, unless a job in flight or a registration needs it."""
    record = await to_thread.run_sync(state.media.stat, upload_id, caller.tenant)
    # The look-up above and this are two steps; the second one decides, so a job admitted in between
    # wins.
    if not await to_thread.run_sync(state.media.delete_unless_held, record.id):
        raise ServiceError("upload_in_use")
    return Response(status_code=204)


def _created(record: MediaRecord) -> Created:
    return Created(id=record.id, path=f"/v1/uploads/{record.id}", body=upload_view(record))


def upload_view(record: MediaRecord) -> schemas.Upload:
    """Return the body that describes an upload."""
    return schemas.Upload(
        id=record.id,
        sha256=record.sha256,
        bytes=record.bytes,
        media_type=record.facts.media_type,
        width=record.facts.width,
        height=record.facts.height,
        frames=record.facts.frames,
        duration_s=record.facts.duration_s,
        expires_at=at(record.expires_at),
    )
