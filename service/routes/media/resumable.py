"""Uploads in parts, by tus 1.0 (https://tus.io/protocols/resumable-upload): for phones, whose
connections break.

The upload has its id from the beginning; once its last byte is there it is an upload like any
other.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.caller import Caller
from service.protocol.bodies import media_type
from service.protocol.openapi import MEDIA, header, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import State
from service.routes.auth import caller_with
from service.schemas.fields import at
from worker.errors import UnknownMedia
from worker.stores.media.media_store import MediaStore
from worker.stores.media.partial_uploads import Partial

router = APIRouter(prefix="/v1/uploads/resumable", tags=["uploads"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,expiration,termination"
# What tus says, and what plain HTTP clients send and generators of clients know.
PART_TYPES: Final = ("application/offset+octet-stream", "application/octet-stream")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")  # a petabyte, which no bound here allows
_MAX_METADATA: Final = 4096  # names of files: they are not kept

_TUS = header("Tus-Resumable", "`1.0.0`; any other is refused.", {"type": "string"})
_COUNT: dict[str, Any] = {"type": "string", "pattern": "^[0-9]{1,15}$"}
_PLACE = ("Tus-Resumable", "Upload-Offset", "Upload-Expires")


@router.post(
    "",
    status_code=201,
    response_model=schemas.PartialUpload,
    responses={
        201: success("The upload, of which nothing is there yet.", "Location", *_PLACE),
        **problems("tus_version", "body_too_large", "quota_exceeded", "storage_quota"),
    },
    openapi_extra={
        "parameters": [
            _TUS,
            header("Upload-Length", "Bytes of the whole file.", _COUNT),
            header("Upload-Metadata", "As tus has it; not kept.", {"type": "string"}),
        ]
    },
)
async def create_resumable(request: Request, caller: Writer, state: State) -> Response:
    """Begin an upload that is sent in parts, by any client of tus 1.0.

    Parts go to the `Location` with PATCH; HEAD says how far it is. It ends a day after its last
    part.
    """
    _require_version(request)
    length = _number(request, "Upload-Length")
    if length > state.settings.max_upload_bytes:
        most = state.settings.max_upload_bytes
        raise ServiceError("body_too_large", f"The file may have at most {most} bytes")
    if length == 0 or len(request.headers.get("upload-metadata", "")) > _MAX_METADATA:
        raise ServiceError("invalid_parameter", "Upload-Length or Upload-Metadata is not usable")

    # Nothing is written yet: only the promise of its size is held against the quota.
    made = await to_thread.run_sync(state.media.partials.begin, caller.tenant, length)
    place = f"/v1/uploads/resumable/{made.id}"
    return _answer(made, 201, Location=f"{state.settings.public_url}{place}")


@router.get(
    "/{upload_id}",
    response_model=schemas.PartialUpload,
    responses={
        200: success("How far the upload is; HEAD has the headers alone.", *_PLACE),
        **problems("not_found", "tus_version"),
    },
)
async def get_resumable(upload_id: str, caller: Writer, state: State) -> Response:
    """Say how many bytes of an upload are there."""
    return _answer(await to_thread.run_sync(_found, state.media, upload_id, caller.tenant), 200)


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: success("The part is kept. After the last one the upload can be used.", *_PLACE),
        **problems("not_found", "upload_offset", "upload_in_use", "tus_version", *MEDIA),
    },
    openapi_extra={
        "parameters": [_TUS, header("Upload-Offset", "Where the part begins.", _COUNT)],
        "requestBody": {
            "required": True,
            "description": (
                "The bytes from `Upload-Offset` on, as many as the client likes; clients of tus"
                f" send them as `{PART_TYPES[0]}`."
            ),
            "content": {PART_TYPES[1]: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def append_resumable(
    upload_id: str, request: Request, caller: Writer, state: State
) -> Response:
    """Add a part. With the last one the file is inspected; what is refused then is deleted."""
    _require_version(request)
    if media_type(request) not in PART_TYPES:
        raise ServiceError("unsupported_media_type", f"A part must be {PART_TYPES[0]}")

    partial = await to_thread.run_sync(_found, state.media, upload_id, caller.tenant)
    # Before the body is read; the step that adds the part looks again.
    if _number(request, "Upload-Offset") != partial.offset:
        raise ServiceError("upload_offset", f"The upload ends at byte {partial.offset}")

    if partial.offset < partial.length:
        chunks = state.bodies.stream(request, state.settings.max_upload_bytes)
        partial = await state.parts.append(partial, chunks)
    # Also a part without bytes: it asks again for what failed for a moment.
    if partial.offset == partial.length and await to_thread.run_sync(
        state.media.partials.exists, upload_id
    ):
        await state.parts.finish(partial)

    return _answer(partial, 204)


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The parts are deleted."}, **problems("not_found")},
)
async def delete_resumable(upload_id: str, caller: Writer, state: State) -> Response:
    """Give up an upload that is not complete."""
    partial = await to_thread.run_sync(state.media.partials.get, upload_id, caller.tenant)
    await to_thread.run_sync(state.media.partials.drop, partial.id)
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


@router.options("", include_in_schema=False)
async def discover_resumable(state: State) -> Response:
    """Say which parts of tus there are."""
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(state.settings.max_upload_bytes),
        },
    )


def _found(media: MediaStore, upload_id: str, tenant: str) -> Partial:
    """Return an upload, also one that is complete by now; raises UnknownMedia."""
    try:
        return media.partials.get(upload_id, tenant)
    except UnknownMedia:
        # A client that has missed the last answer asks how far it came.
        whole = media.stat(upload_id, tenant)
        return Partial(
            id=whole.id,
            tenant=tenant,
            length=whole.bytes,
            offset=whole.bytes,
            expires_at=whole.expires_at,
        )


def _answer(partial: Partial, status: int, **headers: str) -> Response:
    expires = datetime.fromtimestamp(partial.expires_at, UTC)
    headers |= {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(partial.offset),
        "Upload-Length": str(partial.length),
        "Upload-Expires": format_datetime(expires, usegmt=True),
    }
    # A part's answer has no body, as tus wants it.
    if status == 204:
        return Response(status_code=204, headers=headers)

    body = schemas.PartialUpload(
        id=partial.id,
        bytes=partial.length,
        received=partial.offset,
        expires_at=at(partial.expires_at),
    )
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def _require_version(request: Request) -> None:
    # Without the header as well: a plain HTTP client that knows the protocol may do without.
    if request.headers.get("tus-resumable", VERSION) != VERSION:
        raise ServiceError("tus_version", headers={"Tus-Version": VERSION})


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise ServiceError("invalid_parameter", f"{name} must be a number of bytes")
    return int(text)
