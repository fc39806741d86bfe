"""The outermost middleware: every request gets an id, a trace, a line in the log and a count."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.observability import Metrics, RequestContext, child_traceparent, in_request

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})
_POSTS = {"/v1/identities": "register", "/v1/verify": "verify", "/v1/analyses": "submit"}
_CLIENT_LEFT = 499  # as in nginx: the client disconnected before a response began


class RequestScope:
    """ASGI middleware.

    An error that nothing else has answered is answered here with `failure`, so that it is counted
    and logged as the 500 that it is, with the request's id.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, failure: Callable[[Exception], Response]
    ) -> None:
        self.app = app
        self.metrics = metrics
        self._failure = failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        context = RequestContext(
            request_id=_request_id(headers),
            traceparent=child_traceparent(headers.get("traceparent")),
        )

        with in_request(context):
            await self._answer(scope, receive, send, context, headers)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, context: RequestContext, headers: Headers
    ) -> None:
        # Not the clock of the day, which may be set while a request runs.
        began = time.perf_counter()
        status: int | None = None
        # Whether there is more to come that nobody has read, known without reading it.
        body_left = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

        async def receive_noting_end() -> Message:
            nonlocal body_left
            message = await receive()
            body_left = body_left and bool(message.get("more_body"))

            return message

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                # On every response, so that a user's report can be found in the log.
                answer["X-Request-Id"] = context.request_id
                answer["traceparent"] = context.traceparent
                # Results are files of users: no browser may guess that one of them is a page.
                answer.setdefault("X-Content-Type-Options", "nosniff")
                answer.setdefault("Cache-Control", "no-store")

                if body_left:
                    # Else the server would read the rest of a body that is not wanted.
                    answer["Connection"] = "close"

            await send(message)

        try:
            inner = _as_get(scope)
            await self.app(inner, receive_noting_end, send_with_ids)
            scope.setdefault("route", inner.get("route"))
        except Exception as error:  # noqa: BLE001 - `failure` logs it; this is the last place to answer
            response = self._failure(error)
            if status is None:
                await response(scope, receive_noting_end, send_with_ids)

            # A response that had begun cannot be taken back: the server closes the connection.
            status = 500
        finally:
            waits = "wait" in headers.get("prefer", "")
            self._finish(scope, waits, status or _CLIENT_LEFT, time.perf_counter() - began)

    def _finish(self, scope: Scope, waits: bool, status: int, took_s: float) -> None:
        # Never the raw path: the labels of a metric must be bounded.
        route = getattr(scope.get("route"), "path_format", None) or "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.metrics.requests.labels(method, route, status).inc()
        self.metrics.latency.labels("wait" if waits else _class_of(method, route)).observe(took_s)
        log.log(
            logging.ERROR if status >= 500 else logging.INFO,
            "request answered",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "ms": round(took_s * 1000, 1),
            },
        )


def _class_of(method: str, route: str) -> str:
    """Return what mainly decides how long a request takes; a percentile over all says nothing."""
    if route in _PROBES:
        return "probe"
    if route.endswith("/events"):
        return "wait"  # as long as the client listens
    if route.endswith(("/result", "/manifest")) or route.startswith("/v1/uploads"):
        return "transfer"  # as fast as the client's connection
    if method == "POST":
        # The encoder; the file that came along; the checks.
        return _POSTS.get(route, "submit" if route.startswith("/v1/swaps") else "api")

    return "api"


def _as_get(scope: Scope) -> Scope:
    """Return a HEAD as the GET whose headers it asks for; the server leaves the body out.

    A result answers HEAD itself, without opening the file, and streams have no headers of use.
    """
    path = scope["path"]
    if scope["method"] != "HEAD" or path.endswith(("/result", "/events", "/export")):
        return scope
    return {**scope, "method": "GET"}


def _request_id(headers: Headers) -> str:
    offered = headers.get("x-request-id", "")
    # A client's id is taken over when it cannot break a log line, and replaced when it could.
    return offered if _REQUEST_ID.fullmatch(offered) else f"req_{secrets.token_hex(8)}"
