"""Seeing what the service does: request ids, JSON logs, request metrics and the trace that travels
with a job.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True)
class RequestContext:
    """What log lines and jobs of one request carry along."""

    request_id: str = "-"
    traceparent: str = ""
    tenant: str = "-"


_OUTSIDE = RequestContext()
_context: ContextVar[RequestContext] = ContextVar("request_context", default=_OUTSIDE)


def current_request_id() -> str:
    """Return the id of the request being answered, or "-" outside of one."""
    return _context.get().request_id


def current_traceparent() -> str:
    """Return the W3C traceparent of the request being answered, or "" outside of one."""
    return _context.get().traceparent


def note_tenant(tenant: str) -> None:
    """Let the log lines of this request name the tenant."""
    now = _context.get()
    _context.set(RequestContext(now.request_id, now.traceparent, tenant))


def child_traceparent(received: str | None) -> str:
    """Continue the caller's trace with a span of our own, or start a trace where the header is
    absent or malformed.

    Where an OpenTelemetry SDK is installed and configured, the span is the one it has begun for the
    request.
    """
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    found = _TRACEPARENT.fullmatch(received or "")
    trace_id, flags = (found[1], found[3]) if found else (secrets.token_hex(16), "01")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        now = _context.get()
        record.request_id, record.tenant = now.request_id, getattr(record, "tenant", now.tenant)
        return True


def log_json(level: int = logging.INFO) -> None:
    """Write the process's log to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ContextFilter())
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s %(tenant)s",
            rename_fields={
                "asctime": "time",
                "levelname": "level",
                "name": "logger",
                "message": "event",
            },
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger(
        "uvicorn.access"
    ).disabled = True  # RequestScope logs each request, without its query
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines name the URLs users hand us


class Metrics:
    """The counters of one app.

    Each app has a registry of its own, so that tests do not share them.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "likeness_requests", "Requests answered.", labels, registry=self.registry
        )
        self.latency = Histogram(
            "likeness_request_seconds",
            "Time to the end of the answer.",
            ("method", "route"),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self.registrations = Histogram(
            "likeness_registration_seconds",
            "Time a registration spent in the enrolment child.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.child_restarts = Counter(
            "likeness_child_restarts",
            "Sandboxed children started anew.",
            ("child",),
            registry=self.registry,
        )
        self.webhooks = Counter(
            "likeness_webhook_attempts", "Deliveries tried.", ("outcome",), registry=self.registry
        )
        self.waiters = Gauge(
            "likeness_waiters", "Open long polls and event streams.", registry=self.registry
        )
        self.provider = Gauge(
            "likeness_provider_info",
            "Provider of the enrolment child.",
            ("provider",),
            registry=self.registry,
        )


class RequestScope:
    """ASGI middleware: gives each request an id and a trace, answers with both, counts it and logs
    it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        context = RequestContext(
            _request_id(headers), child_traceparent(headers.get("traceparent"))
        )
        token = _context.set(context)
        started, status = time.perf_counter(), 499  # 499: the client left before an answer began
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
                answer["X-Request-Id"] = context.request_id
                answer["traceparent"] = context.traceparent
                answer.setdefault("X-Content-Type-Options", "nosniff")
                answer.setdefault("Cache-Control", "no-store")
                if body_left:
                    answer["Connection"] = (
                        "close"  # else the server would read on to the end of a body nobody wants
                    )
            await send(message)

        try:
            await self.app(scope, receive_noting_end, send_with_ids)
        finally:
            self._finish(scope, status, time.perf_counter() - started)
            _context.reset(token)

    def _finish(self, scope: Scope, status: int, took_s: float) -> None:
        route = (
            getattr(scope.get("route"), "path_format", None) or "unmatched"
        )  # never the raw path: bounded labels
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.metrics.requests.labels(method, route, status).inc()
        self.metrics.latency.labels(method, route).observe(took_s)
        log.info(
            "request answered",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "ms": round(took_s * 1000, 1),
            },
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(headers: Headers) -> str:
    offered = headers.get("x-request-id", "")
    return offered if _REQUEST_ID.fullmatch(offered) else f"req_{secrets.token_hex(8)}"
