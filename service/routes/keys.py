"""Keys: an admin key makes, rotates and revokes the keys of its own tenant.

Other tenants are made by command.
"""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.protocol.bodies import json_limits, read_json
from service.protocol.openapi import json_body, problems, success
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of
from service.schemas.fields import at
from worker.stores.key_store import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"])

Admin = Annotated[Caller, Depends(caller_with("admin"))]
InParts = Annotated[Parts, Depends(parts_of)]
Overlap = Annotated[
    int, Query(ge=0, le=30 * 86400, description="Seconds for which the old key stays valid.")
]


@router.post(
    "",
    status_code=201,
    response_model=schemas.Key,
    responses={
        201: success("The key with its token: it is not shown again.", "Location"),
        **problems("invalid_json", "unsupported_media_type", "body_too_large", "invalid_request"),
    },
    openapi_extra=json_body(schemas.KeyRequest),
)
async def create_key(request: Request, caller: Admin, parts: InParts) -> JSONResponse:
    """Make a key. Not idempotent by key: the token would have to be kept to be shown twice."""
    body = await read_json(request, schemas.KeyRequest, json_limits(parts.settings))
    key, token = await to_thread.run_sync(parts.keys.create, caller.tenant, body.scopes, body.name)
    await _note(parts, caller, "key.created", key.id)
    return JSONResponse(_view(key, token), 201, headers={"Location": f"/v1/keys/{key.id}"})


@router.get("", response_model=schemas.KeyList, responses=problems())
async def list_keys(caller: Admin, parts: InParts) -> JSONResponse:
    """List the tenant's keys, without their secrets."""
    keys = await to_thread.run_sync(parts.keys.list, caller.tenant)
    return JSONResponse({"data": [_view(key) for key in keys]})


@router.get("/{key_id}", response_model=schemas.Key, responses=problems("not_found"))
async def get_key(key_id: str, caller: Admin, parts: InParts) -> JSONResponse:
    """Return a key, without its secret."""
    return JSONResponse(_view(await to_thread.run_sync(parts.keys.get, key_id, caller.tenant)))


@router.post("/{key_id}/rotate", response_model=schemas.Key, responses=problems("not_found"))
async def rotate_key(
    key_id: str, caller: Admin, parts: InParts, overlap_s: Overlap = 0
) -> JSONResponse:
    """Make a key in place of an old one."""
    key, token = await to_thread.run_sync(
        parts.keys.rotate, key_id, caller.tenant, float(overlap_s)
    )
    await _note(parts, caller, "key.rotated", key_id)
    return JSONResponse(_view(key, token))


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The key is no longer accepted."}, **problems("not_found")},
)
async def revoke_key(key_id: str, caller: Admin, parts: InParts) -> Response:
    """Revoke a key; the next request that carries it is refused."""
    await to_thread.run_sync(parts.keys.revoke, key_id, caller.tenant)
    await _note(parts, caller, "key.revoked", key_id)
    return Response(status_code=204)


async def _note(parts: Parts, caller: Caller, event: str, key_id: str) -> None:
    await to_thread.run_sync(parts.audit.append, event, caller.tenant, caller.key_id, key_id)


def _view(key: ApiKey, token: str | None = None) -> dict[str, object]:
    return schemas.Key(
        id=key.id,
        name=key.name,
        scopes=tuple(sorted(key.scopes)),
        created_at=at(key.created_at),
        expires_at=at(key.expires_at) if key.expires_at else None,
        revoked_at=at(key.revoked_at) if key.revoked_at else None,
        token=token,
    ).model_dump(mode="json")
