"""Small jobs and results for tests of the job store."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict

from redis import Redis

from worker.contract.jobs import JobResult, Task
from worker.contract.requests import JobPayload, JobRequest
from worker.stores.connection import as_hash
from worker.stores.identities.identity_records import IdentityRecord, identity_fields
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_records import JobReport
from worker.stores.media.uploads import MediaFacts, MediaRecord

RESULT = JobResult(
    sha256="ab" * 32, bytes=3, media_type="image/png", suffix=".png", width=1, height=1, frames=1
)


REPORT = JobReport(
    report={"faces": [], "counters": {"models_loaded": 0, "swap_passes": 2}},
    timings={"total_ms": 1.0},
)


def known_upload(store: Redis, tenant: str = "acme") -> str:
    """Return an upload that has a record, and no file."""
    upload = new_id("upl")
    record = MediaRecord(upload, tenant, "ab" * 32, 1, 0.0, 1.0, MediaFacts("image/png", ".png"))
    fields = {"tenant": tenant, "record": json.dumps(asdict(record))}
    store.hset(f"lk:media:{upload}", mapping=fields)

    return upload


def known_identity(store: Redis, tenant: str = "acme") -> str:
    """Return an identity that has a record, and nothing sealed."""
    record = IdentityRecord(new_id("idn"), tenant, "open@test", 0.0)
    store.hset(f"lk:identity:{record.id}", mapping=as_hash(identity_fields(record)))
    return record.id


def analysis(
    store: Redis, tenant: str = "acme", input_bytes: int = 10, **fields: object
) -> JobRequest:
    payload = JobPayload(kind="analysis", tenant=tenant, input_id=known_upload(store, tenant))
    return JobRequest(payload, input_bytes=input_bytes, **fields)  # type: ignore[arg-type]


def deliver_one(attempts: JobAttempts) -> Task:
    (task,) = attempts.deliver("video")
    return task


def ticking() -> Callable[[], float]:
    """Return a clock that moves whenever it is read: lines go by age, and what comes in the same
    millisecond has none.
    """
    ticks = itertools.count()
    return lambda: 1_800_000_000 + 0.01 * next(ticks)
