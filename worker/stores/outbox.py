"""The outbox: messages for webhook endpoints; sending is the service's.

A message enters the outbox in the same step that ends its job, keeps its id over all tries, and
leaves it when it was delivered, given up, or its endpoint is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from worker.errors import UnknownEndpoint
from worker.stores.connection import Reply, as_hash, reaching, text_fields, texts
from worker.stores.endpoints import Endpoint, EndpointStore
from worker.stores.keys import MESSAGE, MESSAGE_TENANTS, MESSAGES_DUE
from worker.stores.scripts import Scripts

# What a look at the whole outbox may cost: some milliseconds. Beyond that the count is too low, and
# large enough for anybody's alert.
COUNTED_TENANTS = 1000
# Seconds from one try to the next: the schedule Standard Webhooks 1.0 recommends.
SCHEDULE_S = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


@dataclass(frozen=True)
class Delivery:
    """A message to send now: `id` is the stable webhook-id, `attempt` counts from 0."""

    id: str
    tenant: str
    job_id: str
    endpoint: Endpoint | None  # None: the address that came with the job
    attempt: int


class Outbox:
    """Messages that wait for their time, and the endpoints that they are for."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._scripts = Scripts(redis)
        self.endpoints = EndpointStore(redis, clock)

    def claim(
        self,
        limit: int = 20,
        lease_s: float = 60.0,
        share: int = 20,
        sending: Mapping[str, int] | None = None,
    ) -> Sequence[Delivery]:
        """Messages that are due, each leased to the caller: settle them with `delivered`, `retry`
        or `drop`.

        A tenant gets at most `share`, together with those of its messages that the caller is
        `sending` already.
        """
        arguments = {
            "now": self._clock(),
            "limit": limit,
            "lease_s": lease_s,
            "share": share,
            "sending": dict(sending or {}),
        }

        names = texts(self._scripts.run("claim_outbox", arguments))
        # A message whose endpoint is gone meanwhile is dropped on the way.
        claimed = map(self._delivery, names[::2], names[1::2])
        return [delivery for delivery in claimed if delivery is not None]

    def waiting(self, tenants: int = COUNTED_TENANTS) -> int:
        """How many messages wait for their time or for a sender, of so many tenants at most."""
        with reaching():
            names = texts(self._redis.zrange(MESSAGE_TENANTS(), 0, tenants - 1))
            with self._redis.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.zcard(MESSAGES_DUE(name))
                counts: Reply = pipeline.execute()

        return sum(counts)

    def delivered(self, delivery: Delivery) -> None:
        """Settle a message that its receiver has."""
        self.drop(delivery)

    def retry(self, delivery: Delivery) -> float | None:
        """Try again later.

        Returns when, or None when the schedule is through and the message was given up.
        """
        following = delivery.attempt + 1
        if following >= len(SCHEDULE_S):
            self.drop(delivery)
            return None

        due = self._clock() + SCHEDULE_S[following]
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(MESSAGE(delivery.id), "attempt", following)
            pipeline.zadd(MESSAGES_DUE(delivery.tenant), {delivery.id: due})
            # The tenant may have left the list with its last due message; 0 puts it first.
            pipeline.zadd(MESSAGE_TENANTS(), {delivery.tenant: 0}, nx=True)
            pipeline.execute()

        return due

    def send_again(self, tenant: str, message: str, job_id: str, endpoint_id: str | None) -> None:
        """Put a message back into the outbox, under its id and with all its tries before it."""
        name = MESSAGE(message)
        fields = {"job": job_id, "tenant": tenant, "endpoint": endpoint_id or "", "attempt": "0"}

        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(name, mapping=as_hash(fields))
            pipeline.expire(name, 2 * SCHEDULE_S[-1])
            pipeline.zadd(MESSAGES_DUE(tenant), {message: self._clock()})
            pipeline.zadd(MESSAGE_TENANTS(), {tenant: 0}, nx=True)
            pipeline.execute()

    def drop(self, delivery: Delivery) -> None:
        """Take a message out of the outbox."""
        self._drop(delivery.tenant, delivery.id)

    def _drop(self, tenant: str, message: str) -> None:
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.zrem(MESSAGES_DUE(tenant), message)
            pipeline.delete(MESSAGE(message))
            pipeline.execute()

    def _delivery(self, tenant: str, message: str) -> Delivery | None:
        with reaching():
            fields = text_fields(self._redis.hgetall(MESSAGE(message)))

        try:
            endpoint = self.endpoints.get(fields["endpoint"]) if fields["endpoint"] else None
        except (KeyError, UnknownEndpoint):  # the message or its endpoint is gone
            self._drop(tenant, message)
            return None

        # Disabled while the message waited: nobody wants it there.
        if endpoint is not None and endpoint.disabled_reason is not None:
            self._drop(tenant, message)
            return None

        return Delivery(message, tenant, fields["job"], endpoint, int(fields["attempt"]))
