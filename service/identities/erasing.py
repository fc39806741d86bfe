"""Erasure: what goes with an identity, and what goes with a job."""

from __future__ import annotations

from contextlib import suppress

from service.caller import Caller
from service.routes.parts import Parts
from worker.contract import JobRecord
from worker.errors import JobNotFinal, UnknownJob
from worker.stores.identity_store import ErasureReceipt


def erase_identity(
    parts: Parts, caller: Caller, identity_id: str, with_results: bool
) -> tuple[ErasureReceipt, int, int]:
    """Erase an identity and cancel its jobs; returns the receipt, jobs canceled and results
    deleted.

    Raises UnknownIdentity or IdentityErased.
    """
    receipt = parts.identities.erase(identity_id, caller.tenant)
    canceled = deleted = 0
    for job_id in receipt.jobs:
        with suppress(UnknownJob, JobNotFinal):
            job = parts.jobs.get(job_id)
            if not job.final:
                parts.jobs.request_cancel(job_id)
                canceled += 1
            elif with_results and job.result is not None:
                forget_job(parts, job)
                deleted += 1
    event = "consent.withdrawn" if with_results else "identity.erased"
    details = {"jobs_canceled": str(canceled), "results_deleted": str(deleted)}
    parts.audit.append(event, caller.tenant, caller.key_id, identity_id, **details)
    return receipt, canceled, deleted


def forget_job(parts: Parts, job: JobRecord) -> None:
    """Remove a job's record, result and input; raises JobNotFinal.

    An input that another job needs stays.
    """
    parts.jobs.delete(job.id)
    parts.media.delete_job(job.id)
    if job.payload.input_id is not None:
        parts.media.delete_unless_held(job.payload.input_id)
