"""Authentication: the bearer key's tenant and scopes, looked up for every request.

So a revocation takes effect with the next request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.caller import Caller
from service.protocol.observability import note_tenant
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from worker.errors import KeyRefused
from worker.stores.key_store import ApiKey, Scope

_bearer = HTTPBearer(
    # FastAPI's own refusal would be no problem document, and 403 instead of 401.
    auto_error=False,
    bearerFormat="lk_<key id>_<secret>",
    description="An API key.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
AccessToken = Annotated[
    str | None,
    Query(
        max_length=200,
        description="A browser token of `POST /v1/tokens`, where no header can be sent: in"
        " `<img>`, `<video>` and EventSource. API keys are not accepted here.",
    ),
]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="likeness"'}


async def credentials_of(request: Request) -> HTTPAuthorizationCredentials | None:
    """Return the key of a request that need not have one."""
    return await _bearer(request)


def caller_with(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency that yields the caller, who needs one of `scopes`.

    It raises unauthorized or forbidden.
    """

    async def caller(
        request: Request, state: State, credentials: Credentials, access_token: AccessToken = None
    ) -> Caller:
        key = await key_of(request, state, credentials, access_token)
        require_scope(key, *scopes)
        return Caller(key.tenant, key.id, frozenset(key.scopes))

    return caller


async def key_of(
    request: Request,
    state: AppState,
    credentials: HTTPAuthorizationCredentials | None,
    access_token: str | None,
) -> ApiKey:
    """Return the valid key that came with a request; raises unauthorized or forbidden."""
    is_in_query = credentials is None and access_token is not None
    text = credentials.credentials if credentials else access_token or ""
    try:
        key = await to_thread.run_sync(state.keys.verify, text)
    except KeyRefused as error:
        raise ServiceError("unauthorized", headers=_CHALLENGE) from error

    note_tenant(key.tenant)
    # A URL is written to logs and histories, where a key for good must not be.
    if is_in_query and (key.origin is None or request.method not in ("GET", "HEAD")):
        raise ServiceError("unauthorized", "Only a browser token can be in the URL of a GET")
    if key.origin is not None and key.origin != _page_origin(request):
        raise ServiceError(
            "forbidden", f"The token serves pages of {key.origin} only", headers=_CHALLENGE
        )

    return key


def require_scope(key: ApiKey, *scopes: Scope) -> None:
    """Raise forbidden unless the key has one of `scopes`."""
    if not key.scopes & set(scopes):
        wanted = " or ".join(scopes)
        raise ServiceError("forbidden", f"The key lacks the scope {wanted}", headers=_CHALLENGE)


def _page_origin(request: Request) -> str | None:
    """Return the origin of the page that sends a request, as its browser says.

    Images and videos come without Origin; their Referer has at least the page's origin.
    """
    if origin := request.headers.get("origin"):
        return origin
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None

    return f"{page.scheme}://{page.netloc}" if page.netloc else None
