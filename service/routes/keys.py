"""Keys and browser tokens: an admin key creates, rotates and revokes the keys of its own tenant.

Other tenants are created on the command line.
"""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from service import schemas
from service.caller import Caller
from service.protocol.openapi import JSON_BODY, json_body, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import AccessToken, Credentials, caller_with, key_of, require_scope
from service.schemas.fields import at
from worker.stores.key_store import OPERATOR_SCOPE, ApiKey

router = APIRouter(prefix="/v1", tags=["keys"])

Admin = Annotated[Caller, Depends(caller_with("admin"))]
Overlap = Annotated[
    # A month: longer, and a rotation that answers a leak would not end the leak.
    int, Query(ge=0, le=30 * 86400, description="Seconds for which the old key stays valid.")
]


@router.post(
    "/keys",
    status_code=201,
    responses={
        201: success("The key with its token: it is not shown again.", "Location"),
        **problems(*JSON_BODY),
    },
    openapi_extra=json_body(schemas.KeyRequest),
)
async def create_key(
    request: Request, response: Response, caller: Admin, state: State
) -> schemas.Key:
    """Create a key. It takes no Idempotency-Key: the token would have to be kept to be repeated."""
    body = await state.bodies.json(request, schemas.KeyRequest)
    key, token = await to_thread.run_sync(state.keys.create, caller.tenant, body.scopes, body.name)
    # After the deed: an entry for a key that was not made would be wrong, and a missing one shows
    # as a gap in the keys.
    await _note(state, caller, "key.created", key.id)
    response.headers["Location"] = f"/v1/keys/{key.id}"

    # The only answer besides the creation's that has a token.
    return _view(key, token)


@router.get("/keys", responses=problems())
async def list_keys(caller: Admin, state: State) -> schemas.KeyList:
    """List the tenant's keys, without their secrets."""
    keys = await to_thread.run_sync(state.keys.list, caller.tenant)
    return schemas.KeyList(data=tuple(_view(key) for key in keys))


@router.get("/keys/{key_id}", responses=problems("not_found"))
async def get_key(key_id: str, caller: Admin, state: State) -> schemas.Key:
    """Return a key, without its secret."""
    return _view(await to_thread.run_sync(state.keys.get, key_id, caller.tenant))


@router.post("/keys/{key_id}/rotate", responses=problems("not_found"))
async def rotate_key(
    key_id: str, caller: Admin, state: State, overlap_s: Overlap = 0
) -> schemas.Key:
    """Create a key with the same scopes in place of an old one.

    A key with the scope `operator` takes another such key, or the command line.
    """
    old = await to_thread.run_sync(state.keys.get, key_id, caller.tenant)
    if OPERATOR_SCOPE in old.scopes - caller.scopes:
        raise ServiceError("forbidden", "The key lacks the scope operator")

    key, token = await to_thread.run_sync(
        state.keys.rotate, key_id, caller.tenant, float(overlap_s)
    )
    await _note(state, caller, "key.rotated", key_id)
    return _view(key, token)


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The key is no longer accepted."}, **problems("not_found")},
)
async def revoke_key(key_id: str, caller: Admin, state: State) -> Response:
    """Revoke a key; the next request that carries it is refused."""
    await to_thread.run_sync(state.keys.revoke, key_id, caller.tenant)
    await _note(state, caller, "key.revoked", key_id)
    return Response(status_code=204)


async def _parent(
    request: Request, state: State, credentials: Credentials, access_token: AccessToken = None
) -> ApiKey:
    """Return the key that makes a token; a token makes no other, or it would never end."""
    key = await key_of(request, state, credentials, access_token)
    if key.parent is not None:
        raise ServiceError("forbidden", "A browser token cannot make tokens")
    return key


Parent = Annotated[ApiKey, Depends(_parent)]


@router.post(
    "/tokens",
    status_code=201,
    responses=problems(*JSON_BODY, "quota_exceeded"),
    openapi_extra=json_body(schemas.TokenRequest),
)
async def create_token(request: Request, key: Parent, state: State) -> schemas.BrowserToken:
    """Make a token for pages of one origin: for minutes, with scopes that the key has.

    Call this from your server and hand the token to your page. It ends with the key.
    """
    body = await state.bodies.json(request, schemas.TokenRequest)
    for scope in sorted(body.scopes):
        require_scope(key, scope)

    made, token = await to_thread.run_sync(
        state.tokens.create, key, body.scopes, body.origin, body.ttl_s
    )
    await to_thread.run_sync(
        lambda: state.audit.append("token.created", key.tenant, key.id, made.id, origin=body.origin)
    )

    return schemas.BrowserToken(
        token=token,
        origin=body.origin,
        scopes=tuple(sorted(body.scopes)),
        expires_at=at(made.expires_at or 0.0),
    )


async def _note(state: AppState, caller: Caller, event: str, key_id: str) -> None:
    await to_thread.run_sync(state.audit.append, event, caller.tenant, caller.key_id, key_id)


def _view(key: ApiKey, token: str | None = None) -> schemas.Key:
    return schemas.Key(
        id=key.id,
        name=key.name,
        scopes=tuple(sorted(key.scopes)),
        created_at=at(key.created_at),
        expires_at=at(key.expires_at) if key.expires_at else None,
        revoked_at=at(key.revoked_at) if key.revoked_at else None,
        token=token,
    )
