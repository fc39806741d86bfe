"""A job that has ended, made with the stores' own means."""

from __future__ import annotations

from collections.abc import Callable

from worker.contract.jobs import Problem, Task
from worker.contract.requests import JobPayload, JobRequest
from worker.failures import FailureCode
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_store import JobStore


def ended_job(jobs: JobStore, clock: Callable[[], float], tenant: str = "acme") -> str:
    """Admit a job without an input, take it up and fail it."""
    job = jobs.admit(JobRequest(JobPayload(kind="analysis", tenant=tenant))).job
    attempts = JobAttempts(jobs, clock)
    attempts.begin(Task(job.id, 1), "by hand")
    attempts.fail(Task(job.id, 1), Problem(FailureCode.INTERNAL_ERROR, "It broke."))

    return job.id
