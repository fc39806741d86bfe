"""Uploads by way of the bucket: the client puts the file where it will lie, past the service."""

from __future__ import annotations

from functools import partial as bound
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.intake.parts import PUT_TTL_S, PUT_URL_S
from service.protocol.openapi import JSON_BODY, MEDIA, json_body, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import State
from service.routes.auth import caller_with
from service.routes.media.uploads import upload_view
from service.schemas.fields import at
from worker.errors import UnknownMedia

router = APIRouter(prefix="/v1/uploads/presigned", tags=["uploads"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]


@router.post(
    "",
    status_code=201,
    responses={
        201: success("Where to PUT the file.", "Location"),
        **problems(*JSON_BODY, "presigned_unavailable", "quota_exceeded", "storage_quota"),
    },
    openapi_extra=json_body(schemas.PresignedRequest),
)
async def create_presigned(
    request: Request, response: Response, caller: Writer, state: State
) -> schemas.PresignedUpload:
    """Make a URL of the bucket to which the file may be PUT for a quarter of an hour.

    Then `POST .../complete` makes an upload of it. Only where media lie in a bucket.
    """
    body = await state.bodies.json(request, schemas.PresignedRequest)
    # Before anything is begun: a bucket would take the whole file first.
    if body.bytes > state.settings.max_upload_bytes:
        most = state.settings.max_upload_bytes
        raise ServiceError("body_too_large", f"The file may have at most {most} bytes")
    # Before anything is recorded: a directory takes no PUT of a client's.
    if not state.settings.media:
        raise ServiceError("presigned_unavailable")

    # The size is reserved in the tenant's quota now, since the service sees no byte of the file.
    begin = bound(state.media.partials.begin, caller.tenant, body.bytes, PUT_TTL_S)
    made = await to_thread.run_sync(begin)
    url = await to_thread.run_sync(state.media.partials.put_url, made, PUT_URL_S)
    # The store's own word, should it and the settings differ.
    if url is None:
        raise ServiceError("presigned_unavailable")

    complete = f"{state.settings.public_url}/v1/uploads/presigned/{made.id}/complete"
    response.headers["Location"] = complete
    # The URL ends before the record does: what was PUT at the last moment can still be completed.
    ends_at = made.expires_at - PUT_TTL_S + PUT_URL_S
    return schemas.PresignedUpload(id=made.id, url=url, complete=complete, expires_at=at(ends_at))


@router.post(
    "/{upload_id}/complete",
    status_code=201,
    response_model=schemas.Upload,
    responses={
        201: success("The upload.", "Location"),
        **problems("not_found", "upload_incomplete", "upload_in_use", *MEDIA),
    },
)
async def complete_presigned(upload_id: str, caller: Writer, state: State) -> Response:
    """Make an upload of the file that was PUT; asking again returns the same upload."""
    try:
        partial = await to_thread.run_sync(state.media.partials.get, upload_id, caller.tenant)
    except UnknownMedia:
        # Completed by an earlier request whose answer was lost, or never begun, which `stat` tells.
        record = await to_thread.run_sync(state.media.stat, upload_id, caller.tenant)
    else:
        record = await state.parts.finish_put(partial)

    body = upload_view(record).model_dump(mode="json")
    return JSONResponse(body, 201, headers={"Location": f"/v1/uploads/{record.id}"})
