"""Tasks on their way to a worker; the scripts move them (`lua/tasks.lua`), this reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from worker.contract import QueueName
from worker.stores.connection import Reply, reaching, texts
from worker.stores.keys import DELIVERED, LINE, TASK, TASKS_ACTIVE


@dataclass(frozen=True)
class TaskState:
    """A task that is not done; `age_s` is the time since it began to wait."""

    id: str
    queue: str
    tenant: str
    state: str
    attempt: int
    begun: int
    age_s: float


class TaskLines:
    """The lines in which tasks wait, and every task that is not done."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def active(self, now_s: float | None = None) -> Sequence[TaskState]:
        """Return every task that is waiting, delivered or running, oldest first."""
        now = time.time() if now_s is None else now_s
        with reaching():
            rows: Reply = self._redis.zrange(TASKS_ACTIVE(), 0, -1, withscores=True)
            # No transaction: a snapshot that is a moment old here and there is good enough, and
            # others need the store.
            with self._redis.pipeline(transaction=False) as pipeline:
                for name, _ in rows:
                    pipeline.hmget(
                        TASK(name.decode()), ["queue", "tenant", "state", "attempt", "begun"]
                    )

                tasks: Reply = pipeline.execute()

        return [
            _task(name.decode(), texts(fields), age_s=now - since_ms / 1000)
            for (name, since_ms), fields in zip(rows, tasks, strict=True)
            if all(fields)  # else the job ended between the two reads
        ]

    def place(self, task_id: str, queue: QueueName, tenant: str) -> int:
        """Return how many tasks come before one of a tenant's; 0 once it has left its line."""
        with reaching():
            rank = self._redis.zrank(LINE(queue, tenant), task_id)
            delivered = self._redis.scard(DELIVERED(queue))

        # What RQ holds already comes before everything in a line.
        return rank + delivered if isinstance(rank, int) else 0


def _task(name: str, fields: Sequence[str], age_s: float) -> TaskState:
    queue, tenant, state, attempt, begun = fields
    return TaskState(
        id=name,
        queue=queue,
        tenant=tenant,
        state=state,
        attempt=int(attempt),
        begun=int(begun),
        age_s=age_s,
    )
