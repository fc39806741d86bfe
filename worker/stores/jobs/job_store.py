"""Changes of jobs, and the source of truth about them: RQ only delivers.

Every change of state is one Lua script (`worker/stores/lua`), fenced by the attempt's number, so
that a process may die between any two lines and a stale attempt changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis

from worker.contract.jobs import JobRecord, Task
from worker.contract.requests import QUEUE_OF, IdempotencyKey, JobRequest
from worker.errors import (
    Gone,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IdentityErased,
    JobNotFinal,
    QueueFull,
    QuotaExceeded,
    StorageQuotaExceeded,
    UnknownBatch,
    UnknownIdentity,
    UnknownJob,
    UnknownMedia,
    UploadInUse,
    WorkerError,
)
from worker.stores.ids import new_id
from worker.stores.jobs.deliveries import delivery
from worker.stores.jobs.idempotency_store import IdempotencyStore
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_reader import JobReader
from worker.stores.jobs.job_records import (
    Ending,
    admission_arguments,
    read_record,
    settled_fields,
    uploads_of,
)
from worker.stores.jobs.statistics import BUCKETS_MS
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep

log = logging.getLogger(__name__)

# `canceled` is the client's own wish; `lua/settle.lua` has a sentence for each of the others.
CancelReason = Literal["canceled", "deadline_exceeded", "identity_erased", "consent_expired"]

# What `lua/admit.lua` answers instead of an id.
REFUSALS: dict[str, type[WorkerError]] = {
    "idempotency_mismatch": IdempotencyMismatch,
    "idempotency_in_progress": IdempotencyInProgress,
    "unknown_batch": UnknownBatch,
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


class JobStore(JobReader):
    """Admission and ends of jobs, beside all that can be read of them."""

    def __init__(
        self, redis: Redis, limits: JobLimits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(redis, limits or JobLimits())
        self._clock = clock
        self._idempotency = IdempotencyStore(redis)
        self.scripts = Scripts(redis)
        self.upkeep = Upkeep(redis, clock)

    def admit(
        self,
        request: JobRequest,
        idempotency: IdempotencyKey | None = None,
        deliver: bool = False,
    ) -> Admission:
        """Accept a job durably, or refuse it: when this returns, the record is on the store's
        disk. With `deliver`, RQ is handed what its queue has room for in the same round trip.

        Raises:
            QuotaExceeded, StorageQuotaExceeded, QueueFull: with `retry_after_s`.
            Gone: the key's first request made a job that has been deleted since.
            UnknownMedia, UnknownIdentity, IdentityErased: what the job needs is not this tenant's,
            or gone. IdempotencyMismatch, IdempotencyInProgress, StoreUnavailable, StoreFull
        """
        now = self._clock()
        arguments = admission_arguments(request, idempotency, self.limits, now)
        then = [delivery(QUEUE_OF[request.payload.kind], self.limits, now)] if deliver else []
        answer = self.scripts.run_durably("admit", arguments, then)
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

    def request_cancel(self, job_id: str, reason: CancelReason = "canceled") -> JobRecord:
        """Ask a job to end: it is canceled at once when nobody runs it, else within its attempt's
        next steps. Any `reason` but the client's own becomes the job's error.

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
        self.settle(job_id, None, Ending("canceled"))

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its files are the media store's.

        Raises:
            UnknownJob, JobNotFinal
        """
        job = self.get(job_id)
        identities = sorted(job.payload.identities())
        answer = self.scripts.run(
            "forget_job", {"job": job_id, "identities": identities, "uploads": uploads_of(job)}
        )
        if answer == b"missing":
            raise UnknownJob
        if answer == b"running":
            raise JobNotFinal

    def requeue(self, job_id: str) -> JobRecord:
        """Do a dead letter again as a new job, since an end is an end.

        Raises what `admit` does, and UnknownJob.
        """
        fields = self.fields(job_id)
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
        self.upkeep.forget_dead(job_id, uploads_of(dead))

        return again

    def settle(self, job_id: str, task: Task | None, ending: Ending) -> str:
        """End a job, by one attempt or, without a task, from outside of any.

        See `lua/settle.lua` for the answers.
        """
        now = self._clock()
        report = ending.report
        arguments: dict[str, Any] = {
            "job": job_id,
            "status": ending.status,
            "now": repr(now),
            "dead": ending.dead,
            "record_ttl_s": self.limits.record_ttl_s,
            "events_ttl_s": self.limits.events_ttl_s,
            "counters": dict(report.report.get("counters", {})) if report else {},
            "buckets_ms": BUCKETS_MS,
            # Ids sort by time, so that everything below this one has expired and can leave the
            # tenant's index.
            "oldest": new_id(
                "job", now - self.limits.record_ttl_s - self.limits.default_deadline_s
            ),
            "fields": settled_fields(now, self.limits.result_ttl_s, ending),
            "audit": list(ending.audit),
        }

        if task:
            arguments |= task_names(task)

        queue = ending.deliver_on
        then = [delivery(queue, self.limits, now)] if queue else []
        return str(self.scripts.run_durably("settle", arguments, then).decode())


def task_names(task: Task) -> dict[str, Any]:
    return {"job": task.job_id, "task": task.id, "attempt": task.attempt}
