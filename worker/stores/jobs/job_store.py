"""Job records in the store: the source of truth, while RQ only delivers.

Every change of state is one Lua script (`worker/stores/lua`), fenced by the attempt's number, so
that a process may die between any two lines and a stale attempt changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
from worker.stores.connection import Reply, reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.idempotency_store import IdempotencyStore
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_listing import JobFilter, JobListing, Page
from worker.stores.jobs.job_records import (
    JobReport,
    admission_arguments,
    read_record,
    settled_fields,
)
from worker.stores.jobs.packed_record import PACKED, pack, record_fields
from worker.stores.jobs.statistics import BUCKETS_MS
from worker.stores.jobs.task_lines import TaskLines
from worker.stores.key_store import TenantStore
from worker.stores.keys import INPUT_BYTES, JOB, TENANT_ACTIVE
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep

log = logging.getLogger(__name__)

# What `lua/admit.lua` answers instead of an id.
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


class JobStore:
    """Admission, state and ends of jobs."""

    def __init__(
        self, redis: Redis, limits: JobLimits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.redis = redis
        self.limits = limits or JobLimits()
        self._clock = clock
        self._idempotency = IdempotencyStore(redis)
        self.scripts = Scripts(redis)
        self._listing = JobListing(redis, self._hashes, self.limits.looked_at)
        self.lines = TaskLines(redis)
        self.upkeep = Upkeep(redis, clock)

    def admit(self, request: JobRequest, idempotency: IdempotencyKey | None = None) -> Admission:
        """Accept a job durably, or refuse it: when this returns, the record is on the store's
        disk.

        Raises:
            QuotaExceeded, StorageQuotaExceeded, QueueFull: with `retry_after_s`.
            Gone: the key's first request made a job that has been deleted since.
            UnknownMedia, UnknownIdentity, IdentityErased: what the job needs is not this tenant's,
            or gone. IdempotencyMismatch, IdempotencyInProgress, StoreUnavailable, StoreFull
        """
        arguments = admission_arguments(request, idempotency, self.limits, self._clock())
        answer = self.scripts.run_durably("admit", arguments)
        outcome = answer[0].decode()

        if outcome in REFUSALS:
            raise REFUSALS[outcome]

        if outcome != "replayed":
            return Admission(read_record(arguments["fields"]), replayed=False)
        try:
            return Admission(self.get(answer[1].decode()), replayed=True)
        except UnknownJob as error:
            raise Gone from error

    def replayed(self, tenant: str, idempotency: IdempotencyKey) -> Admission | None:
        """Return the job that an earlier request with this key made; None when there was none.

        Raises:
            IdempotencyMismatch: the key came with another body. Gone: the job was deleted since.
        """
        job_id = self._idempotency.job(tenant, idempotency)
        if job_id is None:
            return None
        try:
            return Admission(self.get(job_id), replayed=True)
        except UnknownJob as error:
            raise Gone from error

    def get(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """Return the job's record; with a tenant, only if it is that tenant's.

        Raises:
            UnknownJob, StoreUnavailable
        """
        if not is_id(job_id, "job"):
            raise UnknownJob
        with reaching():
            fields = record_fields(self.redis.hgetall(JOB(job_id)))

        # Another tenant's job reads as an unknown one: ids must not be probed.
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownJob

        return read_record(fields)

    def _fields(self, job_id: str) -> Mapping[str, str]:
        with reaching():
            fields = record_fields(self.redis.hgetall(JOB(job_id)))
        if not fields:
            raise UnknownJob

        return fields

    def pack_settled(self) -> int:
        """Pack the records of jobs that ended ten minutes ago or before; return how many.

        Nothing that a client sees is lost but the events, of which only the last one stays.
        """
        names = self.upkeep.settled_for(self.limits.pack_after_s)
        for job_id in names:
            with reaching():
                reply: Reply = self.redis.hgetall(JOB(job_id))

            if not reply or PACKED in reply:
                self.upkeep.packed(job_id)
                continue

            record = pack(text_fields(reply))
            arguments = {
                "job": job_id,
                "version": record.kept["version"],
                "fields": dict(record.kept),
            }
            self.scripts.run("pack_job", arguments, blob=record.packed)

        return len(names)

    def result_expired(self, job_id: str) -> None:
        """Let a job be found no more among the dead letters and by the identities it used.

        Its record stays for a while, so that a client learns that the result has expired.
        """
        with suppress(UnknownJob):
            job = self.get(job_id)
            self.upkeep.result_expired(job_id, job.payload.identities(), _uploads(job))

    def plan(self, job_id: str) -> str:
        """Return the plan of a video that is swapped in segments; raises UnknownJob."""
        with reaching():
            plan = self.redis.hget(JOB(job_id), "plan")

        if plan is None:
            raise UnknownJob

        return texts([plan])[0]

    def exists(self, job_id: str) -> bool:
        """Return whether a job has a record."""
        with reaching():
            return bool(self.redis.exists(JOB(job_id)))

    def list(
        self,
        tenant: str,
        status: Status | None = None,
        kind: JobKind | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return the tenant's jobs, newest first; `cursor` is the `next_cursor` of the page before.

        With a filter, a page may be short, even empty, before the last one.
        """
        return self.page(tenant, JobFilter(status=status, kind=kind), limit, cursor)

    def page(
        self, tenant: str, filters: JobFilter, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Return the tenant's jobs that `filters` want, newest first."""
        return self._listing.page(tenant, filters, limit=limit, cursor=cursor)

    def _hashes(self, job_ids: Sequence[str]) -> Sequence[Mapping[str, str]]:
        with reaching(), self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(JOB(job_id))
            return [record_fields(fields) for fields in pipeline.execute()]

    def quota(self, tenant: str) -> tuple[int, int]:
        """Return how many jobs a tenant may have in flight, and bytes of their inputs."""
        tenants = TenantStore(self.redis)
        jobs = tenants.bound(tenant, "max_jobs")
        held = tenants.bound(tenant, "max_bytes")
        return (
            self.limits.tenant_jobs if jobs is None else jobs,
            self.limits.tenant_bytes if held is None else held,
        )

    def in_flight(self, tenant: str) -> tuple[int, int]:
        """Return how many jobs a tenant has in flight, and the bytes of their inputs."""
        with reaching():
            jobs = self.redis.scard(TENANT_ACTIVE(tenant))
            held: Reply = self.redis.hget(INPUT_BYTES(), tenant)
        return jobs, int(held or 0)

    def queue_position(self, job: JobRecord) -> int | None:
        """Return how many tasks of the tenant and of RQ come before a queued job.

        None once it runs.
        """
        if job.status != "queued":
            return None
        return self.lines.place(job.id, QUEUE_OF[job.kind], job.tenant)

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
        # Nobody works on it, so nobody else would end it.
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
        job = self.get(job_id)
        identities = sorted(job.payload.identities())
        answer = self.scripts.run(
            "forget_job", {"job": job_id, "identities": identities, "uploads": _uploads(job)}
        )
        if answer == b"missing":
            raise UnknownJob
        if answer == b"running":
            raise JobNotFinal

    def requeue(self, job_id: str) -> JobRecord:
        """Do a dead letter again as a new job, since an end is an end.

        Raises what `admit` does, and UnknownJob.
        """
        fields = self._fields(job_id)
        dead = read_record(fields)
        if not self.upkeep.is_dead(job_id):
            raise UnknownJob("There is no such dead letter.")

        request = JobRequest(
            payload=dead.payload,
            priority=dead.priority,
            input_bytes=int(fields["input_bytes"]),
            webhook=dead.webhook,
            metadata=dead.metadata,
            requeued_from=job_id,
        )

        # First the new job: if it is refused, the letter is still there.
        again = self.admit(request).job
        self.upkeep.forget_dead(job_id, _uploads(dead))

        return again

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
        """End a job, by one attempt or, without a task, from outside of any.

        See `lua/settle.lua` for the answers.
        """
        now = self._clock()
        arguments: dict[str, Any] = {
            "job": job_id,
            "status": status,
            "now": repr(now),
            "dead": dead,
            "record_ttl_s": self.limits.record_ttl_s,
            "events_ttl_s": self.limits.events_ttl_s,
            "counters": dict(report.report.get("counters", {})) if report else {},
            "buckets_ms": BUCKETS_MS,
            # Ids sort by time, so that everything below this one has expired and can leave the
            # tenant's index.
            "oldest": new_id(
                "job", now - self.limits.record_ttl_s - self.limits.default_deadline_s
            ),
            "fields": settled_fields(now, self.limits.result_ttl_s, result, report, error),
        }

        if task:
            arguments |= task_names(task)

        return str(self.scripts.run_durably("settle", arguments).decode())


def _uploads(job: JobRecord) -> list[str]:
    return [job.payload.input_id] if job.payload.input_id else []


def task_names(task: Task) -> dict[str, Any]:
    return {"job": task.job_id, "task": task.id, "attempt": task.attempt}
