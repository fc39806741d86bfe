"""Bounds for callers without a key: so many requests a minute and at once, for each network."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.protocol.problems import ServiceError

WINDOW_S = 60.0
# Addresses remembered; the oldest is forgotten first, so that an attacker's many addresses cost
# no memory.
MAX_NETWORKS = 10_000


@dataclass
class _Visits:
    times: deque[float] = field(default_factory=deque)
    running: int = 0


class Visitors:
    """Counts requests by network (/24 of IPv4, /64 of IPv6) in this process."""

    def __init__(
        self,
        # A person who checks a folder of files; a crawler is slowed down.
        per_minute: int = 30,
        # Each costs seconds of a core; two networks can fill the four places, and none can alone.
        at_once: int = 2,
        all_at_once: int = 4,
        # What everybody together may ask for, where a hostile file costs more than its own time.
        all_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute = per_minute
        self._at_once = at_once
        self._all_at_once = all_at_once
        self._all_per_minute = all_per_minute
        self._all_times: deque[float] = deque()
        self._clock = clock
        self._visits: OrderedDict[str, _Visits] = OrderedDict()
        self._running = 0

    @contextmanager
    def visit(self, address: str) -> Iterator[None]:
        """Hold a place for one request; raises too_many_requests with Retry-After."""
        visits = self._of(network(address))
        now = self._clock()

        for times, allowed in (
            (visits.times, self._per_minute),
            (self._all_times, self._all_per_minute),
        ):
            while times and times[0] <= now - WINDOW_S:
                times.popleft()
            if allowed is not None and len(times) >= allowed:
                raise _refused(times[0] + WINDOW_S - now)

        if visits.running >= self._at_once or self._running >= self._all_at_once:
            raise _refused(1.0)

        visits.times.append(now)
        self._all_times.append(now)
        visits.running += 1
        self._running += 1

        try:
            yield
        finally:
            visits.running -= 1
            self._running -= 1

    def forget(self) -> None:
        """Forget the requests that have ended."""
        self._visits.clear()
        self._all_times.clear()

    def _of(self, name: str) -> _Visits:
        # Taken out and put back at the end: the order is that of the last visit.
        visits = self._visits.pop(name, None) or _Visits()
        self._visits[name] = visits
        while len(self._visits) > MAX_NETWORKS:
            self._visits.popitem(last=False)
        return visits


def network(address: str) -> str:
    """Return the network an address counts for; an unknown one counts for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address

    # A /64 is what one subscriber gets of IPv6; a /24 keeps a small block of IPv4 from counting as
    # many visitors. A socket that takes both kinds shows IPv4 addresses within IPv6's, all of them
    # in one /64.
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    parsed = mapped or parsed
    prefix = 24 if parsed.version == 4 else 64
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


def _refused(wait_s: float) -> ServiceError:
    headers = {"Retry-After": str(max(1, round(wait_s)))}
    return ServiceError("too_many_requests", headers=headers)
