"""Jobs that train an identity's weights further: at its registration, and after a pack's update."""

from __future__ import annotations

import logging
from contextlib import suppress

from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import WorkerError
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore

log = logging.getLogger(__name__)

DEADLINE_S = 6 * 3600.0  # it has low priority, and a busy day may come before it


class Refinements:
    """Admits refinement jobs, which need a worker with torch; an installation may have none."""

    def __init__(self, jobs: JobStore, queue: JobQueue, identities: IdentityStore) -> None:
        self._jobs = jobs
        self._queue = queue
        self._identities = identities

    @property
    def are_offered(self) -> bool:
        """Return whether a worker that refines is there now."""
        return any(worker.queue == "refine" for worker in self._queue.workers())

    def start(self, record: IdentityRecord) -> None:
        """Queue the refinement of an identity; raises QuotaExceeded, QueueFull, StoreError."""
        # The job names its identity as swaps do, so that an erasure cancels it too.
        assignment = Assignment(identity_id=record.id)
        payload = JobPayload(kind="refine", tenant=record.tenant, assignments=(assignment,))
        job = self._jobs.admit(JobRequest(payload, priority="low", deadline_s=DEADLINE_S)).job

        # Before the delivery: the worker replaces this by the outcome.
        self._identities.annotate(record.id, refinement={"job_id": job.id})
        self._queue.deliver("refine")

    def start_again(self, identity_id: str) -> None:
        """Queue the refinement of an identity whose refined weights belong to an earlier pack.

        Where that cannot be done now, the identity stays as it is and says so.
        """
        with suppress(WorkerError):
            if self.are_offered:
                self.start(self._identities.peek(identity_id))
                log.info("refined again for another pack", extra={"identity": identity_id})
