"""Authentication: the bearer key's tenant and scopes, looked up for every request.

So a revocation takes effect with the next request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.caller import Caller
from service.protocol.observability import note_tenant
from service.protocol.problems import ServiceError
from service.routes.app_state import State
from worker.errors import KeyRefused

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="lk_<key id>_<secret>", description="An API key."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="likeness"'}


def caller_with(scope: str) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency that yields the caller, or raises unauthorized or forbidden."""

    async def caller(state: State, credentials: Credentials) -> Caller:
        try:
            key = await to_thread.run_sync(
                state.keys.verify, credentials.credentials if credentials else ""
            )
        except KeyRefused as error:
            raise ServiceError("unauthorized", headers=_CHALLENGE) from error

        note_tenant(key.tenant)
        if scope not in key.scopes:
            raise ServiceError("forbidden", f"The key lacks the scope {scope}", headers=_CHALLENGE)

        return Caller(key.tenant, key.id, frozenset(key.scopes))

    return caller
