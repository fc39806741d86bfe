"""Small jobs and results for tests of the job store."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from redis import Redis

from worker.contract.jobs import JobResult, Task
from worker.contract.requests import JobPayload, JobRequest
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_records import JobReport

RESULT = JobResult(
    sha256="ab" * 32, bytes=3, media_type="image/png", suffix=".png", width=1, height=1, frames=1
)


REPORT = JobReport(
    report={"faces": [], "counters": {"models_loaded": 0, "swap_passes": 2}},
    timings={"total_ms": 1.0},
)


def analysis(
    store: Redis, tenant: str = "acme", input_bytes: int = 10, **fields: object
) -> JobRequest:
    upload = new_id("upl")
    store.hset(f"lk:media:{upload}", "tenant", tenant)
    payload = JobPayload(kind="analysis", tenant=tenant, input_id=upload)

    return JobRequest(payload, input_bytes=input_bytes, **fields)  # type: ignore[arg-type]


def deliver_one(attempts: JobAttempts) -> Task:
    (task,) = attempts.next_deliveries("video")
    return task


def ticking() -> Callable[[], float]:
    """Return a clock that moves whenever it is read: lines go by age, and what comes in the same
    millisecond has none.
    """
    ticks = itertools.count()
    return lambda: 1_800_000_000 + 0.01 * next(ticks)
