"""What can be read of jobs: one record, pages of them, and how much of its quota a tenant uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis import Redis
from redis.asyncio.client import Pipeline as AsyncPipeline

from worker.contract.jobs import JobRecord, Status
from worker.contract.requests import QUEUE_OF, JobKind
from worker.errors import UnknownJob
from worker.stores.connection import Reply, reaching, texts
from worker.stores.ids import is_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_listing import JobFilter, JobListing, Page
from worker.stores.jobs.job_records import read_record
from worker.stores.jobs.packed_record import record_fields
from worker.stores.jobs.task_lines import TaskLines
from worker.stores.keys import INPUT_BYTES, JOB, TENANT_ACTIVE
from worker.stores.tenants import TenantStore


@dataclass(frozen=True)
class Quota:
    """What a tenant may have in flight, and what it has: jobs, and bytes of their inputs."""

    max_jobs: int
    max_bytes: int
    jobs: int
    bytes: int


class JobReader:
    """Jobs and quotas, without a way to change them."""

    def __init__(self, redis: Redis, limits: JobLimits) -> None:
        self.redis = redis
        self.limits = limits
        self.lines = TaskLines(redis)
        self._tenants = TenantStore(redis)
        self._listing = JobListing(redis, self._hashes, limits.looked_at)

    def get(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """Return the job's record; with a tenant, only if it is that tenant's.

        Raises:
            UnknownJob, StoreUnavailable
        """
        if not is_id(job_id, "job"):
            raise UnknownJob

        fields = record_fields(self.stored(job_id))
        # Another tenant's job reads as an unknown one: ids must not be probed.
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownJob

        return read_record(fields)

    def several(self, job_ids: Sequence[str]) -> Sequence[JobRecord]:
        """Return the records of those jobs that are there."""
        return [read_record(fields) for fields in self._hashes(job_ids) if fields]

    def fields(self, job_id: str) -> Mapping[str, str]:
        """Return the fields of a job's record; raises UnknownJob."""
        fields = record_fields(self.stored(job_id))
        if not fields:
            raise UnknownJob

        return fields

    def stored(self, job_id: str) -> Reply:
        """Return a job's hash as the store has it, packed or not; empty when there is none."""
        with reaching():
            return self.redis.hgetall(JOB(job_id))

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

    def quota(self, tenant: str) -> Quota:
        """Return what a tenant may have in flight, and what it has."""
        with reaching(), self.redis.pipeline(transaction=False) as together:
            self._tenants.ask_bounds(tenant, ("max_jobs", "max_bytes"), together)
            together.scard(TENANT_ACTIVE(tenant))
            together.hget(INPUT_BYTES(), tenant)
            (max_jobs, max_bytes), jobs, held = together.execute()

        return Quota(
            # Not by their truth: a bound of 0 is a tenant who may have no jobs.
            max_jobs=self.limits.tenant_jobs if max_jobs is None else int(max_jobs),
            max_bytes=self.limits.tenant_bytes if max_bytes is None else int(max_bytes),
            jobs=jobs,
            bytes=int(held or 0),
        )

    def queue_position(self, job: JobRecord) -> int | None:
        """Return how many tasks of the tenant and of RQ come before a queued job.

        None once it runs.
        """
        if job.status != "queued":
            return None
        return self.lines.place(job.id, QUEUE_OF[job.kind], job.tenant)

    def _hashes(self, job_ids: Sequence[str]) -> Sequence[Mapping[str, str]]:
        with reaching(), self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(JOB(job_id))
            return [record_fields(fields) for fields in pipeline.execute()]


def ask_job(job_id: str, pipeline: AsyncPipeline) -> None:
    """Ask for a job's record within a caller's pipeline; `answered_job` reads the answer."""
    pipeline.hgetall(JOB(job_id))


def answered_job(reply: Reply) -> JobRecord:
    """Return the record that was asked for; raises UnknownJob."""
    if not reply:
        raise UnknownJob
    return read_record(record_fields(reply))
