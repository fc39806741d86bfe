"""Bounds of HTTP connections, which uvicorn does not have: idle ones must not keep others out."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_RESERVED_DESCRIPTORS = 256  # for the store, children, files, and what is fetched and sent
_MOST_DESCRIPTORS = 65_536  # more than the most connections that settings allow


@dataclass
class ConnectionBounds:
    """The bounds of one server's connections, and those that wait for a request's headers."""

    max_connections: int
    header_timeout_s: float
    waiting: dict[BoundedHttpProtocol, None] = field(default_factory=dict)  # longest wait first


class BoundedHttpProtocol(H11Protocol):
    """uvicorn's protocol with a time limit for headers and a bound of connections.

    When there are too many connections, the one that has waited longest for a request's headers
    is closed, so that a new one is always served unless all are busy with requests.
    """

    def __init__(self, *args: Any, bounds: ConnectionBounds, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Connections that are busy with a request are not in `waiting`, and are never closed for a
        # newcomer.
        if len(self.connections) > self._bounds.max_connections:
            oldest = next(iter(self._bounds.waiting), self)
            oldest.close_now()
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note_state()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_waiting()
        self._note_state()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def close_now(self) -> None:
        """Close the connection without an answer: nothing that could be answered has come."""
        self._stop_waiting()
        # Not close: a client that reads nothing would hold the buffer, and the socket with it.
        self.transport.abort()

    def _note_state(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        # A kept-alive connection waits for its next request; one timer at a time.
        elif self._timer is None:
            self._await_headers()

    def _await_headers(self) -> None:
        if self.transport.is_closing():
            return
        self._bounds.waiting[self] = None
        self._timer = self.loop.call_later(self._bounds.header_timeout_s, self.close_now)

    def _stop_waiting(self) -> None:
        self._bounds.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_http(max_connections: int, header_timeout_s: float) -> Callable[..., asyncio.Protocol]:
    """Return the factory of one server's connections, for the `http` of uvicorn's configuration.

    The process may open as many files as that needs, where its hard limit allows; else the bound
    is lower.
    """
    # The soft limit is often 1,024, far below what idle connections need.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST_DESCRIPTORS) if hard != resource.RLIM_INFINITY else _MOST_DESCRIPTORS

    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    possible = max(1, max(soft, wanted) - _RESERVED_DESCRIPTORS)
    bounds = ConnectionBounds(min(max_connections, possible), header_timeout_s)
    return partial(BoundedHttpProtocol, bounds=bounds)
