"""Tasks on their way to a worker; the scripts move them (`lua/tasks.lua`), this reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.stores.connection import Reply, reaching, texts
from worker.stores.keys import DELIVERED, LINE, QUEUED, RUNNING, TASK, TASKS_ACTIVE
from worker.stores.scripts import Scripts


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


@dataclass(frozen=True)
class Backlog:
    """One queue: how many tasks wait or run, and how long the oldest has waited, in seconds."""

    queued: int
    running: int
    oldest_age_s: float


class TaskLines:
    """The lines in which tasks wait, and every task that is not done."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = Scripts(redis)

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

    def backlog(self, queue: QueueName, now_s: float | None = None) -> Backlog:
        """Return how much a queue has to do; costs the same however much that is."""
        now = time.time() if now_s is None else now_s
        with reaching(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zcard(QUEUED(queue))
            pipeline.zrange(QUEUED(queue), 0, 0, withscores=True)
            pipeline.scard(RUNNING(queue))
            queued, oldest, running = pipeline.execute()

        age_s = now - oldest[0][1] / 1000 if oldest else 0.0
        return Backlog(queued, running=running, oldest_age_s=age_s)

    def handed_out(self, queue: QueueName) -> frozenset[Task]:
        """Return the attempts that RQ or a worker should have: as many as there are workers, and
        the few that RQ holds for them.
        """
        with reaching():
            names = texts(self._redis.sunion([DELIVERED(queue), RUNNING(queue)]))
            with self._redis.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hget(TASK(name), "attempt")
                attempts: Reply = pipeline.execute()

        return frozenset(
            Task(name, int(attempt))
            for name, attempt in zip(names, attempts, strict=True)
            if attempt is not None  # else the job ended between the two reads
        )

    def take_turns(self, tenant: str, queue: QueueName) -> None:
        """Have a tenant served whose bounds were raised."""
        self._scripts.run("take_turns", {"tenant": tenant, "queue": queue})

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
