"""Refined identities: the job that trains an identity's weights further, and its progress."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.protocol.problems import ServiceError
from worker.errors import UnknownJob, WorkerError
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.refinements import Refinements


class Refinement:
    """Starts refinements and shows how far they are."""

    def __init__(self, jobs: JobStore, queue: JobQueue, identities: IdentityStore) -> None:
        self._jobs = jobs
        self._identities = identities
        self._refinements = Refinements(jobs, queue, identities)

    def require(self) -> None:
        """Raise refinement_unavailable unless some worker refines."""
        if not self._refinements.are_offered:
            raise ServiceError(
                "refinement_unavailable",
                "No worker of this installation refines identities; register with quality=instant",
            )

    def start(self, record: IdentityRecord) -> None:
        """Queue the refinement of an identity that was just stored.

        If the job is refused, the identity is deleted. Raises QuotaExceeded, QueueFull, StoreError.
        """
        try:
            self._refinements.start(record)
        # A client that asked for a refined identity and is refused must find nothing left behind.
        except WorkerError:
            self._identities.erase(record.id, record.tenant)
            raise

    def identity(self, identity_id: str, tenant: str) -> IdentityRecord:
        """Return an identity with its refinement; raises UnknownIdentity or IdentityErased."""
        return self.with_progress(self._identities.get(identity_id, tenant))

    def with_progress(self, record: IdentityRecord) -> IdentityRecord:
        """Return the record with the present state of its refinement's job.

        The record of a finished refinement holds its outcome already.
        """
        refinement = dict(record.refinement or {})
        if not refinement or "status" in refinement:
            return record
        try:
            job = self._jobs.get(str(refinement.get("job_id")), record.tenant)
        except UnknownJob:
            # Records of jobs end before identities do.
            return replace(record, refinement={**refinement, "status": "expired"})

        live: dict[str, Any] = {
            "status": job.status,
            "progress": {"done": job.progress.done, "total": job.progress.total},
        }
        if job.error:
            live["code"] = job.error.code

        # Both only grow, so the ETag changes with either.
        version = record.version + job.version
        return replace(record, refinement={**refinement, **live}, version=version)
