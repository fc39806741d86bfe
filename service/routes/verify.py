"""Verification: where a file comes from.

It needs no key, is bounded by address, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from service.protocol.bodies import media_type
from service.protocol.openapi import Responses, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import credentials_of, key_of
from service.schemas.trust import Verification, VerifyRequest
from service.trust.page import CONTENT_SECURITY_POLICY, page, script
from worker.provenance.names import MANIFEST_TYPE

router = APIRouter(tags=["verify"])

# Results of long videos are larger; those can be looked up by hash. A quarter GiB keeps an
# anonymous request from filling the disk.
MAX_VERIFIED_BYTES = 256 << 20
# For the parts' headers, boundaries and fields beside the file.
_FORM_BYTES = 64 << 10
_NOT_KEPT = {"Cache-Control": "no-store"}

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}
_LOOK_UP: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/VerifyRequest"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _LOOK_UP,
            "application/octet-stream": _BINARY,
            "multipart/form-data": _FORM,
        },
    },
    "security": [],
}
_RESPONSES: Responses = problems(
    *("invalid_json", "body_too_large", "invalid_request", "undecodable", "too_many_requests"),
    *("unauthorized", "not_found", "store_unavailable"),
    anonymous=True,
)


async def admitted(request: Request, state: State) -> None:
    """Raise not_found or unauthorized where the operator lets nobody, or only keys, verify."""
    match state.settings.verify:
        case "off":
            raise ServiceError("not_found", "Verification is off here: LIKENESS_VERIFY")
        case "keyed":
            await key_of(request, state, await credentials_of(request), None)


Admitted = Depends(admitted)


@router.post("/v1/verify", dependencies=[Admitted], responses=_RESPONSES, openapi_extra=_BODY)
async def verify(request: Request, response: Response, state: State) -> Verification:
    """Say what is known about a file's origin: its signature, an invisible mark, our record.

    It needs no key, unless the operator has set LIKENESS_VERIFY=keyed. Send the file raw or as
    `file` of a form, or only its SHA-256 as JSON. The bytes are not kept.
    """
    # A reverse proxy's address unless uvicorn is told to trust its X-Forwarded-For.
    address = request.client.host if request.client else ""
    # The one endpoint that decodes for anybody: bounded before a byte is read.
    with state.visitors.visit(address):
        # An answer may change when a manifest expires, and must not lie in a shared cache.
        response.headers.update(_NOT_KEPT)
        # A hash alone: for files that somebody will not or cannot send.
        if media_type(request) == "application/json":
            body = await state.bodies.json(request, VerifyRequest)
            found = await to_thread.run_sync(state.verifier.look_up, body.sha256)
        else:
            found = await state.verifier.verify(_file(request, state))

        state.metrics.verifications.labels(found.verdict).inc()
        return found


@router.get(
    "/v1/verify/manifests/{mark_id}",
    dependencies=[Admitted],
    response_class=Response,
    responses={
        200: success(
            "The signed manifest.",
            content=dict.fromkeys(("application/octet-stream", MANIFEST_TYPE), _BINARY),
        ),
        **problems(
            *("not_found", "unauthorized", "too_many_requests", "store_unavailable"),
            anonymous=True,
        ),
    },
    openapi_extra={"security": []},
)
async def get_manifest(mark_id: str, request: Request, state: State) -> Response:
    """Return the content credentials of an output, for a copy that lost them.

    It counts as a verification: there are four thousand million ids to try.
    """
    address = request.client.host if request.client else ""
    with state.visitors.visit(address):
        try:
            manifest = await to_thread.run_sync(state.verifier.manifest, mark_id)
        # Not a mark id's shape: as unknown as one that was never issued.
        except ValueError as error:
            raise ServiceError("not_found") from error

    return Response(manifest, media_type=MANIFEST_TYPE)


@router.get("/verify", include_in_schema=False)
async def verify_page(state: State) -> HTMLResponse:
    """Return the page for people, which asks without a key."""
    if state.settings.verify != "public":
        raise ServiceError("not_found", "The page needs LIKENESS_VERIFY=public")

    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return HTMLResponse(page(), headers=headers)


@router.get("/verify.js", include_in_schema=False)
async def verify_script() -> Response:
    """Return the page's script."""
    return Response(script(), media_type="text/javascript")


async def _file(request: Request, state: AppState) -> AsyncIterator[bytes]:
    if media_type(request) != "multipart/form-data":
        async for chunk in state.bodies.stream(request, MAX_VERIFIED_BYTES):
            yield chunk
        return

    # Browsers send forms; the page's script too.
    form = state.bodies.form(request, MAX_VERIFIED_BYTES + _FORM_BYTES)
    async for part in form.parts():
        # The first file counts; what follows is not read.
        if part.name == "file":
            async for chunk in part.chunks():
                yield chunk
            return

    # Raised inside of the generator, so that the child never sees an empty file.
    raise ServiceError("invalid_request", "The form has no file called file")
