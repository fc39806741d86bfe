"""Files that a client points to by URL."""

from __future__ import annotations

from service.fair_queue import FairQueue
from service.intake.fetching import GuardedClient
from service.intake.incoming import Declared, Incoming
from service.protocol.problems import ServiceError

# A fetch that hangs costs a socket for half a minute: many may hang before others must wait.
_AT_ONCE = 256
# A client that downloads its inputs from one server gains nothing from more.
_PER_TENANT = 8
_WAITING = 512


class UrlInputs:
    """Fetches files; a tenant's hanging servers hold up that tenant alone."""

    def __init__(self, client: GuardedClient, wait_s: float) -> None:
        self._client = client
        self._turns = FairQueue(
            at_once=_AT_ONCE,
            per_tenant=_PER_TENANT,
            waiting=_WAITING,
            wait_s=wait_s,
            refusal=lambda: ServiceError(
                "quota_exceeded", "Too many inputs are being fetched for this tenant"
            ),
        )

    async def receive(self, url: str, incoming: Incoming, max_bytes: int) -> None:
        """Fetch one file into `incoming`.

        Raises quota_exceeded, fetch_refused, fetch_failed, and what receiving a file raises.
        """
        async with self._turns.turn(incoming.tenant):
            await incoming.receive(self._client.fetch(url), Declared(), max_bytes)
