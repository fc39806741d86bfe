"""RQ behind one door: it carries a task's name and attempt to a worker, and decides nothing.

RQ's own record of a job may be lost or stale at any time; `job_store` has the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from redis import Redis
from rq import Queue, worker_registration
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import current_timestamp
from rq.worker.base import BaseWorker

from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.errors import WorkerError
from worker.sandbox.confinement import Protection
from worker.stores.connection import Reply, reaching, text_fields, texts
from worker.stores.jobs.deliveries import (
    ATTEMPT_TIMEOUT_S,
    ENTRY_POINT,
    QUEUES,
    RQ_TTL_S,
    task_of,
)
from worker.stores.jobs.job_attempts import JobAttempts

WORKER_ALIVE_S = 15.0  # an idle worker's heartbeat comes every 5 s

RunTask: TypeAlias = Callable[[str, int], None]


class ForeignFunction(WorkerError):
    code = "foreign_function"
    message = "The queue holds a job that is not ours."


class TaskJob(Job):
    """An RQ job that can only ever call `run_task`, whatever its record in the store says."""

    run_task: RunTask | None = None
    queue_name: QueueName | None = None

    def refresh(self) -> None:
        """Take what is to be done from the id alone, which RQ's queue has.

        The record in the store says no more of a job of ours, would cost a round trip, and of a
        job that is not ours it is better not read.
        """
        if self.queue_name is None:
            super().refresh()  # type: ignore[no-untyped-call]
            return

        task = task_of(self.id)
        self.func_name = ENTRY_POINT if task else ""
        self.instance = None
        self.args = [task.id, task.attempt] if task else []
        self.kwargs = {}
        self.origin = self.queue_name
        self.timeout = ATTEMPT_TIMEOUT_S[self.queue_name]
        self.result_ttl = self.failure_ttl = RQ_TTL_S

    def restore(self, raw_data: Any) -> None:  # noqa: ANN401
        """Read RQ's record, but nothing in it that could call a function or a URL."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = (
            None
        )
        # RQ would post to whatever URL the record names.
        self.webhooks = []
        self.retries_left = self.repeats_left = None

    @property
    def func(self) -> RunTask:
        """The one entry point; raises ForeignFunction when the record names another."""
        # A record that names anything else was not written by us.
        if self.func_name != ENTRY_POINT or self.instance is not None or self.run_task is None:
            raise ForeignFunction
        return self.run_task


@dataclass(frozen=True)
class WorkerState:
    """What a worker last said of itself."""

    name: str
    queue: str
    state: str
    hostname: str
    pid: int
    done: int
    last_heartbeat: str
    protection: Protection


class JobQueue:
    """Hands tasks to RQ and tells what RQ holds."""

    def __init__(self, redis: Redis, attempts: JobAttempts) -> None:
        self._redis = redis
        self._attempts = attempts

    def deliver(self, queue: QueueName) -> int:
        """Hand over what is next in the lines, as far as RQ has room; returns how many tasks that
        were.
        """
        return len(self._attempts.deliver(queue))

    def deliver_all(self) -> int:
        """Deliver on every queue."""
        return sum(self.deliver(queue) for queue in QUEUES)

    def held(self, queue: QueueName) -> frozenset[Task]:
        """Return the tasks that RQ has queued, or that a worker with a fresh heartbeat has."""
        rq = rq_queue(queue, self._redis)
        with reaching():
            registry = StartedJobRegistry(queue=rq)
            started = texts(
                # Scores are when an execution's lease ends: only live ones count.
                self._redis.zrangebyscore(registry.key, f"({current_timestamp()}", "+inf")
            )
            queued = rq.get_job_ids()

        # RQ 3 writes executions as id:number.
        tasks = (task_of(name.split(":")[0]) for name in (*queued, *started))
        return frozenset(task for task in tasks if task is not None)

    def workers(self) -> Sequence[WorkerState]:
        """Return the workers whose heartbeat is fresh, by name.

        RQ keeps the dead ones for over a minute.
        """
        with reaching():
            keys = sorted(texts(worker_registration.get_keys(connection=self._redis)))
            # Read as they are stored: RQ's own reader would change our connection's timeouts.
            with self._redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                found: Reply = pipeline.execute()

        rows = zip(keys, map(text_fields, found), strict=True)
        return [_worker_state(key, fields) for key, fields in rows if _is_alive(fields)]


def rq_queue(name: QueueName, redis: Redis) -> Queue:
    """One RQ queue for each class of worker.

    JSON, because RQ's default of pickle would run whatever Redis holds.
    """
    return Queue(name, connection=redis, serializer=JSONSerializer, job_class=TaskJob)


def _is_alive(fields: Mapping[str, str]) -> bool:
    if (
        # RQ notes a worker's orderly end; a killed one only stops its heartbeat.
        "death" in fields or not {"queues", "last_heartbeat"} <= fields.keys()
    ):  # a late heartbeat makes half a record
        return False

    age = datetime.now(UTC) - datetime.fromisoformat(fields["last_heartbeat"])
    return age.total_seconds() < WORKER_ALIVE_S


def _worker_state(key: str, fields: Mapping[str, str]) -> WorkerState:
    return WorkerState(
        name=key.removeprefix(BaseWorker.redis_worker_namespace_prefix),
        queue=fields["queues"],
        state=fields.get("state", "unknown"),
        hostname=fields.get("hostname", ""),
        pid=int(fields.get("pid", 0)),
        done=int(fields.get("successful_job_count", 0)),
        last_heartbeat=fields.get("last_heartbeat", ""),
        # A worker of an earlier version says nothing of it: then nothing is known to hold.
        protection=Protection.model_validate_json(fields.get("protection", "{}")),
    )
