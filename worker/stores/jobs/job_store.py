"""Job records in the store: RQ only delivers, this is the truth.

Every change of state is one Lua script (`worker/stores/lua`), fenced by the attempt's number, so
that a process may die between any two lines and a late twin changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis

from worker.contract import (
    QUEUE_OF,
    IdempotencyKey,
    JobKind,
    JobRecord,
    JobRequest,
    JobResult,
    Problem,
    Status,
    Task,
)
from worker.errors import (
    Gone,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IdentityErased,
    JobNotFinal,
    QueueFull,
    QuotaExceeded,
    StorageQuotaExceeded,
    UnknownIdentity,
    UnknownJob,
    UnknownMedia,
    UploadInUse,
    WorkerError,
)
from worker.stores.connection import Scripts, reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_records import (
    CLASS_OF,
    JobReport,
    admitted_fields,
    read_record,
    settled_fields,
)

log = logging.getLogger(__name__)

REFUSALS: dict[str, type[WorkerError]] = {
    "idempotency_mismatch": IdempotencyMismatch,
    "idempotency_in_progress": IdempotencyInProgress,
    "unknown_input": UnknownMedia,
    "unknown_identity": UnknownIdentity,
    "identity_erased": IdentityErased,
    "quota_exceeded": QuotaExceeded,
    "storage_quota": StorageQuotaExceeded,
    "upload_in_use": UploadInUse,
    "queue_full": QueueFull,
}


@dataclass(frozen=True)
class Admission:
    """An accepted job; `replayed` when an earlier request with the same Idempotency-Key made it."""

    job: JobRecord
    replayed: bool


@dataclass(frozen=True)
class Page:
    jobs: Sequence[JobRecord]
    next_cursor: str | None


class JobStore:
    """Admission, state and ends of jobs."""

    def __init__(
        self, redis: Redis, limits: JobLimits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.redis = redis
        self.limits = limits or JobLimits()
        self._clock = clock
        self.scripts = Scripts(redis)

    def admit(self, request: JobRequest, idempotency: IdempotencyKey | None = None) -> Admission:
        """Accept a job for good, or refuse it: when this returns, the record is on the store's
        disk.

        Raises:
            QuotaExceeded, StorageQuotaExceeded, QueueFull: with `retry_after_s`.
            Gone: the key's first request made a job that has been deleted since.
            UnknownMedia, UnknownIdentity, IdentityErased: what the job needs is not this tenant's,
            or gone. IdempotencyMismatch, IdempotencyInProgress, StoreUnavailable, StoreFull
        """
        answer = self.scripts.run_durably("admit", self._admission(request, idempotency))
        outcome = answer[0].decode()

        if outcome in REFUSALS:
            raise REFUSALS[outcome]

        replayed = outcome == "replayed"
        try:
            return Admission(self.get(answer[1].decode()), replayed)
        except UnknownJob as error:
            if replayed:
                raise Gone from error
            raise

    def replayed(self, tenant: str, idempotency: IdempotencyKey) -> Admission | None:
        """The job that an earlier request with this key made; None when there was none.

        Raises:
            IdempotencyMismatch: the key came with another body. Gone: the job was deleted since.
        """
        name = idempotency_name(tenant, idempotency.key)
        with reaching():
            fields = text_fields(self.redis.hgetall(name))

        if "job" not in fields:
            return None
        if fields["fingerprint"] != idempotency.fingerprint:
            raise IdempotencyMismatch
        try:
            return Admission(self.get(fields["job"]), replayed=True)
        except UnknownJob as error:
            raise Gone from error

    def _admission(self, request: JobRequest, idempotency: IdempotencyKey | None) -> dict[str, Any]:
        now = self._clock()
        payload = request.payload
        limits = self.limits
        job_id = new_id("job", now)
        deadline_s = min(request.deadline_s or limits.default_deadline_s, limits.default_deadline_s)
        arguments: dict[str, Any] = {
            "id": job_id,
            "tenant": payload.tenant,
            "queue": QUEUE_OF[payload.kind],
            "class": CLASS_OF[request.priority],
            "now_ms": int(now * 1000),
            "deadline_ms": int((now + deadline_s) * 1000),
            "bytes": request.input_bytes,
            "uploads": [payload.input_id] if payload.input_id else [],
            "identities": sorted(payload.identities()),
            "fields": admitted_fields(request, job_id, now, deadline_s),
            "limits": {
                "jobs": limits.max_jobs,
                "bytes": limits.max_bytes,
                "tenant_jobs": limits.tenant_jobs,
                "tenant_bytes": limits.tenant_bytes,
                "tenant_stored_bytes": limits.tenant_stored_bytes,
            },
        }

        if idempotency:
            arguments["idempotency"] = {
                "key": idempotency_name(payload.tenant, idempotency.key),
                "fingerprint": idempotency.fingerprint,
                "ttl_ms": int(limits.idempotency_ttl_s * 1000),
            }

        return arguments

    def get(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """The job's record; with a tenant, only if it is that tenant's.

        Raises:
            UnknownJob, StoreUnavailable
        """
        if not is_id(job_id, "job"):
            raise UnknownJob
        with reaching():
            fields = text_fields(self.redis.hgetall(f"lk:job:{job_id}"))

        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownJob

        return read_record(fields)

    def list(
        self,
        tenant: str,
        status: Status | None = None,
        kind: JobKind | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """The tenant's jobs, newest first; `cursor` is the `next_cursor` of the page before.

        A page may be short, even empty, before the last one: a filter that matches little must not
        read everything.
        """
        found: list[JobRecord] = []
        for looked_at, job in enumerate(self._newest_first(tenant, cursor), 1):
            if status in (None, job.status) and kind in (None, job.kind):
                found.append(job)
            if len(found) > limit:
                return Page(found[:limit], found[limit - 1].id)
            if looked_at == self.limits.looked_at:
                return Page(found, job.id)

        return Page(found, None)

    def _newest_first(
        self, tenant: str, cursor: str | None, batch: int = 100
    ) -> Iterator[JobRecord]:
        key = f"lk:tenant:{tenant}:jobs"
        upper = f"({cursor}" if cursor else "+"

        while True:
            with reaching():
                ids = texts(self.redis.zrevrangebylex(key, upper, "-", start=0, num=batch))
                with self.redis.pipeline(transaction=False) as pipeline:
                    for job_id in ids:
                        pipeline.hgetall(f"lk:job:{job_id}")
                    hashes = pipeline.execute()

                expired = [job_id for job_id, fields in zip(ids, hashes, strict=True) if not fields]
                if expired:
                    self.redis.zrem(key, *expired)

            for job_id, fields in zip(ids, hashes, strict=True):
                if fields and (record := _read_if_readable(job_id, text_fields(fields))):
                    yield record

            if len(ids) < batch:
                return

            upper = f"({ids[-1]}"

    def queue_position(self, job: JobRecord) -> int | None:
        """How many of the tenant's and of RQ's tasks come before a queued job.

        None once it runs.
        """
        if job.status != "queued":
            return None

        queue = QUEUE_OF[job.kind]
        with reaching():
            rank = self.redis.zrank(f"lk:line:{queue}:{job.tenant}", job.id)
            delivered = self.redis.scard(f"lk:delivered:{queue}")

        return rank + delivered if isinstance(rank, int) else 0

    def request_cancel(
        self, job_id: str, reason: Literal["canceled", "deadline_exceeded"] = "canceled"
    ) -> JobRecord:
        """Ask a job to end: it is canceled at once when nobody runs it, else within its attempt's
        next steps.

        Raises:
            UnknownJob
        """
        answer, activity = self.scripts.run(
            "cancel", {"job": job_id, "reason": reason, "now": repr(self._clock())}
        )
        if answer == b"canceling" and activity == b"idle":
            self.settle_cancel(job_id)

        return self.get(job_id)

    def settle_cancel(self, job_id: str) -> None:
        """End a canceling job that no attempt works on any more."""
        self.settle(job_id, None, "canceled")

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its files are the media store's.

        Raises:
            UnknownJob, JobNotFinal
        """
        answer = self.scripts.run("forget_job", {"job": job_id})
        if answer == b"missing":
            raise UnknownJob
        if answer == b"running":
            raise JobNotFinal

    def requeue(self, job_id: str) -> JobRecord:
        """Do a dead letter again as a new job, since an end is an end.

        Raises what `admit` does, and UnknownJob.
        """
        dead = self.get(job_id)
        with reaching():
            if self.redis.zscore("lk:dead", job_id) is None:
                raise UnknownJob("There is no such dead letter.")
            size = int(texts(self.redis.hmget(f"lk:job:{job_id}", ["input_bytes"]))[0])

        request = JobRequest(
            dead.payload,
            dead.priority,
            None,
            size,
            dead.webhook,
            dead.metadata,
            requeued_from=job_id,
        )

        again = self.admit(request).job
        with reaching():
            self.redis.zrem("lk:dead", job_id)

        return again

    def due_deadlines(self) -> Iterable[str]:
        """Jobs whose deadline has passed."""
        with reaching():
            return texts(
                self.redis.zrangebyscore("lk:deadlines", 0, self._clock() * 1000, start=0, num=100)
            )

    def settle(
        self,
        job_id: str,
        task: Task | None,
        status: Status,
        result: JobResult | None = None,
        report: JobReport | None = None,
        error: Problem | None = None,
        dead: bool = False,
    ) -> str:
        """End a job: for good, by one attempt or (without a task) by nobody's.

        See `lua/settle.lua` for the answers.
        """
        now = self._clock()
        arguments: dict[str, Any] = {
            "job": job_id,
            "status": status,
            "now": repr(now),
            "dead": dead,
            "record_ttl_s": self.limits.record_ttl_s,
            "counters": dict(report.report.get("counters", {})) if report else {},
            "oldest": new_id(
                "job", now - self.limits.record_ttl_s - self.limits.default_deadline_s
            ),
            "fields": settled_fields(now, self.limits.result_ttl_s, result, report, error),
        }

        if task:
            arguments |= task_names(task)

        return str(self.scripts.run_durably("settle", arguments).decode())


def _read_if_readable(job_id: str, fields: Mapping[str, str]) -> JobRecord | None:
    try:
        return read_record(fields)
    except (ValueError, KeyError, TypeError):  # one bad record must not break a list
        log.exception("job record is unreadable", extra={"job": job_id})
        return None


def idempotency_name(tenant: str, key: str) -> str:
    """Where a tenant's Idempotency-Key is kept; hashed, because clients choose the text."""
    return f"lk:idem:{tenant}:{hashlib.sha256(key.encode()).hexdigest()}"


def task_names(task: Task) -> dict[str, Any]:
    return {"job": task.job_id, "task": task.id, "attempt": task.attempt}
