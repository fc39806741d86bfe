"""Authentication: the bearer key's tenant and scopes, looked up for every request.

So a revocation takes effect with the next request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.caller import Caller
from service.protocol.observability import note_tenant
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from worker.errors import KeyRefused

_bearer = HTTPBearer(
    # FastAPI's own refusal would be no problem document, and 403 instead of 401.
    auto_error=False,
    bearerFormat="lk_<key id>_<secret>",
    description="An API key.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="likeness"'}


async def credentials_of(request: Request) -> HTTPAuthorizationCredentials | None:
    """Return the key of a request that need not have one."""
    return await _bearer(request)


async def identified(state: AppState, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    """Return who a key belongs to, whatever it may do; raises unauthorized."""
    try:
        key = await to_thread.run_sync(
            state.keys.verify, credentials.credentials if credentials else ""
        )
    except KeyRefused as error:
        raise ServiceError("unauthorized", headers=_CHALLENGE) from error

    note_tenant(key.tenant)
    return Caller(key.tenant, key.id, frozenset(key.scopes))


def caller_with(scope: str) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency that yields the caller, or raises unauthorized or forbidden."""

    async def caller(state: State, credentials: Credentials) -> Caller:
        found = await identified(state, credentials)
        if scope not in found.scopes:
            raise ServiceError("forbidden", f"The key lacks the scope {scope}", headers=_CHALLENGE)

        return found

    return caller
