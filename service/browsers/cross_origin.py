"""Cross-origin requests: pages of origins that the operator or a browser token names.

What authorises a request is its key or token, never a cookie, so an origin that is let through
here has gained nothing but the right to read answers.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Every header of an answer that a page may want to read.
EXPOSED = (
    *("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"),
    *("Idempotency-Replayed", "Link", "Location", "Preference-Applied", "RateLimit"),
    *("RateLimit-Policy", "Retry-After", "X-Job-Id", "X-Request-Id", "traceparent"),
    *("Tus-Resumable", "Upload-Expires", "Upload-Length", "Upload-Offset"),
)
METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"
PREFLIGHT_S = 600  # for which a browser need not ask again
# A page asks in bursts; a token's origin is looked up once for each.
_REMEMBERED_S = 5.0
# Any page of the world may send an Origin: the memory must not grow with them.
_MOST_REMEMBERED = 1000

HasToken = Callable[[Scope, str], Awaitable[bool]]


class CrossOrigin:
    """ASGI middleware that answers preflights and adds CORS headers for origins that may read."""

    def __init__(self, app: ASGIApp, configured: Collection[str], has_token: HasToken) -> None:
        self.app = app
        self._configured = frozenset(configured)
        self._has_token = has_token
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin", "")
        if not origin or not await self._may_read(scope, origin):
            await self.app(scope, receive, send)
            return

        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, headers)(scope, receive, send)
            return

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = origin
                answer["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
                # Or a cache would give one origin's permission to another.
                answer.add_vary_header("Origin")
            await send(message)

        await self.app(scope, receive, send_with_origin)

    async def _may_read(self, scope: Scope, origin: str) -> bool:
        # What the operator has allowed needs no look into the store.
        if self._configured & {"*", origin}:
            return True

        now = time.monotonic()
        seen_at, has_token = self._known.get(origin, (-_REMEMBERED_S, False))
        # Only yes is remembered: a new token must work at once.
        if now - seen_at < _REMEMBERED_S and has_token:
            return True

        has_token = await self._has_token(scope, origin)
        self._known.pop(origin, None)
        self._known[origin] = (now, has_token)

        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)

        return has_token


def _preflight(origin: str, headers: Headers) -> Response:
    asked = headers.get("access-control-request-headers", "")
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": asked or "Authorization, Content-Type",
            "Access-Control-Max-Age": str(PREFLIGHT_S),
            "Vary": "Origin, Access-Control-Request-Headers",
        },
    )
