"""Batches: many swaps by one request, with one status, one message and one file of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from service import schemas
from service.caller import Caller
from service.identities.erasing import JobRemover
from service.jobs.admission import JobAdmission
from service.jobs.submission_request import Submission
from service.protocol.problems import ServiceError
from service.schemas.fields import at
from worker.contract.jobs import JobRecord
from worker.contract.options import Assignment
from worker.errors import JobNotFinal, UnknownJob
from worker.formats import swap_kind
from worker.stores.jobs.batches import BatchRecord, BatchStore
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore

MAX_LISTED = 20  # batches a page: each costs a look at all of its jobs


@dataclass(frozen=True)
class BatchViews:
    """Makes the bodies that describe batches; `base` is the origin of their links, or ""."""

    base: str
    jobs: JobStore
    store: BatchStore

    def of(self, batch: BatchRecord) -> schemas.Batch:
        """Return the body that describes a batch as it is now."""
        jobs = self.jobs.several(self.store.jobs(batch.id))
        counted: Counter[str] = Counter()
        counted.update("running" if job.status == "canceling" else job.status for job in jobs)
        counts = {name: counted[name] for name in schemas.BatchCounts.model_fields}

        return schemas.Batch(
            id=batch.id,
            status="running" if batch.finished_at is None else "finished",
            total=batch.total,
            counts=schemas.BatchCounts(**counts),
            items=tuple(map(_item, jobs)),
            created_at=at(batch.created_at),
            finished_at=at(batch.finished_at) if batch.finished_at else None,
            expires_at=at(batch.expires_at),
            results=f"{self.base}/v1/batches/{batch.id}/results",
        )


class Batches:
    """Makes, cancels and deletes batches; its methods are synchronous and called from threads."""

    def __init__(
        self,
        store: BatchStore,
        jobs: JobStore,
        media: MediaStore,
        admission: JobAdmission,
        remover: JobRemover,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._media = media
        self._admission = admission
        self._remover = remover

    def create(self, caller: Caller, body: schemas.BatchRequest) -> BatchRecord:
        """Return an accepted batch: all of its jobs are admitted, or none.

        Raises quota_exceeded, and what checking and admitting a job raise.
        """
        self._require_room(caller, len(body.upload_ids) * len(body.identity_ids))
        submissions = self._submissions(caller, body)
        # Everything that can be told beforehand, for all of them: most refusals end here.
        for submission in submissions:
            self._admission.check(caller, submission)

        batch = self._store.begin(caller.tenant, len(submissions), body.webhook)
        try:
            for submission in submissions:
                given = self._admission.keep(caller, submission, None)
                self._admission.admit(caller, replace(submission, batch=batch.id), given)
        except BaseException:
            self._undo(batch)
            raise

        return batch

    def cancel(self, batch: BatchRecord) -> None:
        """Ask all jobs of a batch to end."""
        for job_id in self._store.jobs(batch.id):
            # One of them may be deleted meanwhile; jobs that have ended stay as they are.
            with suppress(UnknownJob):
                self._jobs.request_cancel(job_id)

    def delete(self, batch: BatchRecord) -> None:
        """Delete a batch that is finished, with its jobs and results; raises JobNotFinal."""
        if batch.finished_at is None:
            raise JobNotFinal
        for job in self._jobs.several(self._store.jobs(batch.id)):
            with suppress(UnknownJob):
                self._remover.remove(job)

        # Last: a crash before this leaves a batch that can be deleted again.
        self._store.delete(batch)

    def _require_room(self, caller: Caller, wanted: int) -> None:
        quota = self._jobs.quota(caller.tenant)
        left = max(0, quota.max_jobs - quota.jobs)
        if wanted > left:
            raise ServiceError(
                "quota_exceeded", f"The batch has {wanted} jobs, and {left} more may be in flight"
            )

    def _submissions(self, caller: Caller, body: schemas.BatchRequest) -> Sequence[Submission]:
        return [
            Submission(
                kind=swap_kind(record.facts.media_type, record.facts.frames),
                assignments=(Assignment(face=body.options.faces, identity_id=identity_id),),
                options=body.options,
                webhook=body.webhook,
                metadata=dict(body.metadata),
                priority=body.priority,
                source=schemas.SwapInput(upload_id=record.id),
                deadline_s=None,
                idempotency=None,
            )
            # Each target is looked up once; what it is decides which swap it gets.
            for record in [self._media.stat(one, caller.tenant) for one in body.upload_ids]
            for identity_id in body.identity_ids
        ]

    def _undo(self, batch: BatchRecord) -> None:
        """End what was admitted of a batch that is refused, and forget the batch."""
        jobs = self._store.jobs(batch.id)
        # Without its record nothing is announced when the jobs end.
        self._store.delete(batch)
        for job_id in jobs:
            with suppress(UnknownJob):
                self._jobs.request_cancel(job_id)


def _item(job: JobRecord) -> schemas.BatchItem:
    assignments = job.payload.assignments
    return schemas.BatchItem(
        job_id=job.id,
        upload_id=job.payload.input_id,
        identity_id=assignments[0].identity_id if assignments else None,
        status=job.status,
        outcome="failed" if job.status == "failed" else job.report.get("outcome"),
        error=job.error.code if job.error else None,
    )
