"""Refined identities: the job that polishes an identity's weights, and how it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.protocol.problems import ServiceError
from service.routes.parts import Parts
from worker.contract import Assignment, JobPayload, JobRequest
from worker.errors import UnknownJob, WorkerError
from worker.stores.identity_store import IdentityRecord

_DEADLINE_S = 6 * 3600.0


def require_refinement(parts: Parts) -> None:
    """Raise refinement_unavailable unless some worker refines.

    It needs torch, which an installation may lack.
    """
    if not any(worker.queue == "refine" for worker in parts.queue.workers()):
        raise ServiceError(
            "refinement_unavailable",
            "No worker here refines identities; register this one as instant",
        )


def start_refinement(parts: Parts, record: IdentityRecord) -> None:
    """Queue the polishing of an identity that was just stored; where that is refused, the identity
    goes again.

    Raises:
        QuotaExceeded, QueueFull, StoreError
    """
    payload = JobPayload(
        kind="refine", tenant=record.tenant, assignments=(Assignment(identity_id=record.id),)
    )
    try:
        admission = parts.jobs.admit(JobRequest(payload, priority="low", deadline_s=_DEADLINE_S))
    except WorkerError:
        parts.identities.erase(record.id, record.tenant)
        raise
    parts.identities.annotate(record.id, refinement={"job_id": admission.job.id})
    parts.queue.deliver("refine")


def current(parts: Parts, identity_id: str, tenant: str) -> IdentityRecord:
    """Return an identity's record with its refinement; raises UnknownIdentity or IdentityErased."""
    return with_refinement(parts, parts.identities.get(identity_id, tenant))


def with_refinement(parts: Parts, record: IdentityRecord) -> IdentityRecord:
    """Return the record with its refinement as the job now has it.

    A finished one is told by the record itself.
    """
    refinement = dict(record.refinement or {})
    if not refinement or "status" in refinement:
        return record
    try:
        job = parts.jobs.get(refinement["job_id"], record.tenant)
    except UnknownJob:
        return replace(record, refinement={**refinement, "status": "expired"})
    live: dict[str, Any] = {
        "status": job.status,
        "progress": {"done": job.progress.done, "total": job.progress.total},
    }
    if job.error:
        live["code"] = job.error.code
    return replace(record, refinement={**refinement, **live}, version=record.version + job.version)
