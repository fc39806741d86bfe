"""What became of each webhook message, for the tenant to see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, cast

from redis import Redis

from worker.stores.connection import reaching
from worker.stores.keys import DELIVERIES

DeliveryOutcome = Literal["delivered", "retried", "disabled", "given_up"]

MOST_KEPT = 500  # of one tenant
KEPT_S = 7 * 86400  # as long as a message that is retried to the end, and the day after


@dataclass(frozen=True)
class DeliveryAttempt:
    """One try at delivering a message: `status` is HTTP's, 0 without an answer; `at` in seconds."""

    message_id: str
    endpoint_id: str | None
    job_id: str
    attempt: int
    status: int
    outcome: DeliveryOutcome
    error: str | None
    at: float


class DeliveryLog:
    """Keeps the newest attempts of each tenant for a week."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def add(self, tenant: str, delivery: DeliveryAttempt) -> None:
        """Note one attempt."""
        key = DELIVERIES(tenant)
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.lpush(key, json.dumps(asdict(delivery)))
            pipeline.ltrim(key, 0, MOST_KEPT - 1)
            pipeline.expire(key, KEPT_S)
            pipeline.execute()

    def of(
        self, tenant: str, endpoint_id: str | None, limit: int = MOST_KEPT
    ) -> Sequence[DeliveryAttempt]:
        """Return the attempts at one endpoint, newest first; None: at URLs that came with jobs."""
        with reaching():
            entries = cast(list[bytes], self._redis.lrange(DELIVERIES(tenant), 0, -1))

        attempts = [DeliveryAttempt(**json.loads(entry)) for entry in entries]
        return [delivery for delivery in attempts if delivery.endpoint_id == endpoint_id][:limit]
