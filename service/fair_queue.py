"""Turns at a shared resource that no tenant can take away from the others."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class FairQueue:
    """Lets so many tenants' requests run at once, the waiting ones tenant by tenant in turn.

    When as many wait as may, the tenant with the most waiting gives up its newest for one that has
    fewer. So a tenant that floods the queue is refused itself, and another one waits for at most
    one request of each tenant before it.
    """

    def __init__(
        self,
        *,
        at_once: int,
        per_tenant: int,
        waiting: int,
        wait_s: float,
        refusal: Callable[[], Exception],
    ) -> None:
        self._at_once = at_once
        self._per_tenant = per_tenant
        self._max_waiting = waiting
        self._wait_s = wait_s
        self._refusal = refusal
        self._running = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their turns

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Run the block when it is this request's turn.

        Raises the refusal when there is no place to wait, or the turn does not come in time.
        """
        await self._take(tenant)
        try:
            yield
        finally:
            self._running[tenant] -= 1
            self._running += Counter()  # drops tenants that run nothing
            self._grant()

    async def _take(self, tenant: str) -> None:
        if self._has_room(tenant):
            self._running[tenant] += 1
            return

        self._make_place(tenant)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)

        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except BaseException as error:
            self._leave(tenant, turn)
            if isinstance(error, TimeoutError):
                raise self._refusal() from error

            raise

    def _has_room(self, tenant: str) -> bool:
        is_free = self._running.total() < self._at_once
        return is_free and self._running[tenant] < self._per_tenant

    def _make_place(self, tenant: str) -> None:
        if sum(map(len, self._waiting.values())) < self._max_waiting:
            return

        greediest = max(self._waiting, key=lambda name: len(self._waiting[name]), default=tenant)
        own = len(self._waiting.get(tenant, ()))

        if len(self._waiting.get(greediest, ())) <= own + 1:
            raise self._refusal()

        displaced = self._waiting[greediest].pop()
        if not displaced.done():
            displaced.set_exception(self._refusal())

    def _leave(self, tenant: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._running[tenant] -= 1  # the turn came while the request was given up

        queue = self._waiting.get(tenant)
        if queue is not None and turn in queue:
            queue.remove(turn)

        self._forget_if_empty(tenant)
        self._grant()

    def _grant(self) -> None:
        while (tenant := self._next_tenant()) is not None:
            queue = self._waiting.pop(tenant)
            turn = queue.popleft()

            if queue:
                self._waiting[tenant] = queue  # at the end: the others come first
            if not turn.done():
                self._running[tenant] += 1
                turn.set_result(None)

    def _next_tenant(self) -> str | None:
        return next((tenant for tenant in self._waiting if self._has_room(tenant)), None)

    def _forget_if_empty(self, tenant: str) -> None:
        if not self._waiting.get(tenant, True):
            del self._waiting[tenant]
