"""Observability: the context of a request, JSON logs, metrics, and the trace that travels with a
job.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from worker.process.logs import log_as_json

# W3C Trace Context, version 00; ids of only zeros are invalid there.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True)
class RequestContext:
    """What log lines and jobs of one request carry along."""

    request_id: str = "-"
    traceparent: str = ""
    tenant: str = "-"


_OUTSIDE = RequestContext()
_context: ContextVar[RequestContext] = ContextVar("request_context", default=_OUTSIDE)


@contextmanager
def in_request(context: RequestContext) -> Iterator[None]:
    """Let what runs in the block, and what it logs, belong to this request."""
    # A context variable, so that tasks started for the request inherit it.
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


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

    match = _TRACEPARENT.fullmatch(received or "")
    trace_id, flags = (match[1], match[3]) if match else (secrets.token_hex(16), "01")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        now = _context.get()
        record.request_id, record.tenant = now.request_id, getattr(record, "tenant", now.tenant)
        return True


def log_json(level: int = logging.INFO) -> None:
    """Write the process's log to standard error, one JSON object a line."""
    log_as_json(level, _ContextFilter())
    logging.getLogger("uvicorn.access").disabled = True  # RequestScope logs without the query
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines name the URLs of inputs


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
            "Time to the end of the answer, by what a request has to do.",
            ("class",),
            # From a look-up to the longest poll of 60 s.
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )

        self.registrations = Histogram(
            "likeness_registration_seconds",
            "Time a registration spent in the enrolment queue and child.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )

        self.child_restarts = Counter(
            # Grows with hostile or broken files: an alert watches its rate.
            "likeness_child_restarts",
            "Sandboxed children started anew.",
            ("child",),
            registry=self.registry,
        )

        self.webhooks = Counter(
            "likeness_webhook_attempts", "Deliveries tried.", ("outcome",), registry=self.registry
        )
        self.verifications = Counter(
            # The audit trail has no entry for each: whoever verifies is nobody's business.
            "likeness_verifications",
            "Files verified.",
            ("verdict",),
            registry=self.registry,
        )
        self.waiters = Gauge(
            # Of the bound `max_waiters`, which a graph shows beside it.
            "likeness_waiters",
            "Open long polls and event streams.",
            registry=self.registry,
        )
        self.provider = Gauge(
            "likeness_provider_info",
            "Provider of the enrolment child.",
            ("provider",),
            registry=self.registry,
        )
