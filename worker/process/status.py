"""What is going on: queues, workers, active jobs and their attempts, dead letters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from worker.composition import Stores
from worker.contract.jobs import JobRecord
from worker.contract.requests import QueueName
from worker.errors import UnknownJob
from worker.sandbox.confinement import Protection
from worker.stores.jobs.deliveries import QUEUES
from worker.stores.jobs.job_queue import WorkerState
from worker.stores.jobs.statistics import Statistics
from worker.stores.jobs.task_lines import TaskState

# A screenful; --json has as many, and the counters have the totals.
SHOWN = 50


@dataclass(frozen=True)
class QueueState:
    """`waiting` stand in line, `delivered` are with RQ, `running` with a worker.

    Age in seconds of the oldest.
    """

    name: QueueName
    waiting: int
    delivered: int
    running: int
    oldest_age_s: float


@dataclass(frozen=True)
class DeadLetter:
    job_id: str
    tenant: str
    kind: str
    code: str
    died_at: float


@dataclass(frozen=True)
class Stock:
    """A snapshot; `counters` count since the store was new."""

    queues: Sequence[QueueState]
    workers: Sequence[WorkerState]
    tasks: Sequence[TaskState]
    dead: Sequence[DeadLetter]
    counters: dict[str, int]
    weights_bytes: int


def take_stock(stores: Stores) -> Stock:
    """Look at everything once; raises StoreError."""
    tasks = stores.jobs.lines.active()
    dead = stores.jobs.upkeep.dead_letters(SHOWN)

    return Stock(
        queues=[_queue_state(queue, tasks) for queue in QUEUES],
        workers=stores.queue.workers(),
        tasks=tasks,
        dead=[letter for name, at in dead if (letter := _dead_letter(stores, name, at))],
        counters=Statistics(stores.jobs.redis).counters(),
        weights_bytes=stores.identities.cached_bytes(),
    )


def as_json(stock: Stock) -> str:
    """Return the snapshot as JSON, for machines."""
    # `asdict` leaves pydantic's models as they are.
    return json.dumps(asdict(stock), indent=2, default=lambda value: value.model_dump())


def as_text(stock: Stock) -> str:
    """Return the snapshot as tables, for people."""
    queues = [
        (q.name, q.waiting, q.delivered, q.running, f"{q.oldest_age_s:.0f}") for q in stock.queues
    ]
    workers = [
        (w.name, w.queue, w.state, w.done, w.last_heartbeat, _confined(w.protection))
        for w in stock.workers
    ]
    tasks = [
        (t.id, t.tenant, t.state, t.attempt, t.begun, f"{t.age_s:.0f}") for t in stock.tasks[:SHOWN]
    ]
    dead = [(d.job_id, d.tenant, d.kind, d.code) for d in stock.dead]

    return "\n\n".join(
        (
            _table("QUEUE WAITING DELIVERED RUNNING OLDEST_S", queues),
            _table("WORKER QUEUE STATE DONE HEARTBEAT CONFINED", workers),
            _table("ACTIVE_TASK TENANT STATE ATTEMPT BEGUN AGE_S", tasks),
            _table("DEAD_LETTER TENANT KIND CODE", dead),
            _table(
                "COUNTER VALUE", [*stock.counters.items(), ("weights:bytes", stock.weights_bytes)]
            ),
        )
    )


def _queue_state(queue: QueueName, tasks: Sequence[TaskState]) -> QueueState:
    here = [task for task in tasks if task.queue == queue]
    waiting, delivered, running = (
        sum(task.state == state for task in here) for state in ("waiting", "delivered", "running")
    )
    # How long the oldest waits, not how long the longest runs.
    oldest_age_s = max((task.age_s for task in here if task.state != "running"), default=0.0)

    return QueueState(queue, waiting, delivered, running, oldest_age_s)


def _dead_letter(stores: Stores, job_id: str, died_at: float) -> DeadLetter | None:
    try:
        job: JobRecord = stores.jobs.get(job_id)
    # Its record ended between the two reads.
    except UnknownJob:
        return None
    return DeadLetter(job_id, job.tenant, job.kind, job.error.code if job.error else "", died_at)


def _confined(protection: Protection) -> str:
    return f"no {', no '.join(protection.missing)}" if protection.missing else "yes"


def _table(heading: str, rows: Sequence[Sequence[object]]) -> str:
    lines = [heading.split(), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
