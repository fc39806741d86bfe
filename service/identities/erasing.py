"""Deletion: of an identity with what was made from its face, of a job, of a photo."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace

from service.caller import Caller
from worker.contract.jobs import JobRecord
from worker.errors import JobNotFinal, UnknownJob, UnknownMedia, UploadInUse
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_records import ErasureReceipt
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaRecord


class JobRemover:
    """Removes jobs that have ended."""

    def __init__(self, jobs: JobStore, media: MediaStore) -> None:
        self._jobs = jobs
        self._media = media

    def remove(self, job: JobRecord) -> None:
        """Remove a job's record, result and input; raises JobNotFinal.

        An input that another job has used stays, until it expires or its last job is removed.
        """
        # The record first: it refuses while the job runs, and then no file must be gone.
        self._jobs.delete(job.id)
        self._media.results.delete_all(job.id)

        # Refinements have no input.
        if job.payload.input_id is not None:
            self._media.delete_unless_held(job.payload.input_id, unused=True)


@dataclass
class ClaimedPhotos:
    """Uploads that are about to be removed, and those of which a job in flight is still in need."""

    free: list[MediaRecord] = field(default_factory=list)
    in_use: list[str] = field(default_factory=list)


class PhotoRemover:
    """Removes photos of a face: every upload of the tenant with their bytes, and its jobs."""

    def __init__(self, jobs: JobStore, media: MediaStore, remover: JobRemover) -> None:
        self._jobs = jobs
        self._media = media
        self._remover = remover

    def claim(
        self, tenant: str, digests: Collection[str], named: Collection[str] = ()
    ) -> ClaimedPhotos:
        """Reserve all uploads that are one of the photos, so that they can be removed.

        Raises UploadInUse, with nothing reserved, while a job in flight needs one of the `named`.
        """
        claimed = ClaimedPhotos()
        for upload_id in self._uploads(tenant, digests):
            try:
                record = self._media.stat(upload_id, tenant)
                self._media.claim(upload_id, tenant)
                claimed.free.append(record)
            except UnknownMedia:
                continue  # expired meanwhile
            except UploadInUse:
                if upload_id in named:
                    self.release(claimed)
                    raise
                claimed.in_use.append(upload_id)

        return claimed

    def release(self, claimed: ClaimedPhotos) -> None:
        """Leave claimed uploads as they were."""
        for record in claimed.free:
            self._media.release(record)

    def remove(self, claimed: ClaimedPhotos) -> None:
        """Remove claimed uploads, and the jobs whose results were made from them.

        Those in use go as soon as their jobs have ended, with what these make.
        """
        for upload_id in claimed.in_use:
            # First the mark, then the jobs: one that ends in between is covered by either.
            self._media.delete_when_free(upload_id)
            self._remove_jobs(upload_id)

        for record in claimed.free:
            self._remove_jobs(record.id)
            self._media.delete(record.id)

    def _remove_jobs(self, upload_id: str) -> None:
        for job_id in self._media.jobs_with(upload_id):
            # A job may end or be deleted while we look at it; what it leaves is found by its
            # expiry.
            with suppress(UnknownJob, JobNotFinal):
                self._remover.remove(self._jobs.get(job_id))

    def _uploads(self, tenant: str, digests: Collection[str]) -> list[str]:
        return [
            upload_id
            # Sorted, so that two registrations with the same photos claim them in the same order.
            for sha256 in sorted(set(digests))
            for upload_id in self._media.same_content(tenant, sha256)
        ]


class IdentityEraser:
    """Erases identities."""

    def __init__(
        self,
        identities: IdentityStore,
        jobs: JobStore,
        job_remover: JobRemover,
        photo_remover: PhotoRemover,
        audit: AuditLog,
    ) -> None:
        self._identities = identities
        self._jobs = jobs
        self._job_remover = job_remover
        self._photo_remover = photo_remover
        self._audit = audit

    def erase(self, caller: Caller, identity_id: str, with_results: bool) -> ErasureReceipt:
        """Erase an identity, cancel its jobs in flight, and return the receipt.

        Results that have been made go too when asked for `with_results`: consent was withdrawn.
        Raises UnknownIdentity or IdentityErased.
        """
        # Durable before anything else: whatever fails below, no new job can use the face.
        receipt = self._identities.erase(identity_id, caller.tenant)
        canceled = 0
        deleted = 0

        for job_id in receipt.jobs:
            with suppress(UnknownJob, JobNotFinal):
                job = self._jobs.get(job_id)
                if not job.final:
                    self._jobs.request_cancel(job_id, "identity_erased")
                    canceled += 1
                elif with_results and job.result is not None:
                    self._job_remover.remove(job)
                    deleted += 1

        # The photos were deleted at the registration; a client may have uploaded them again.
        photos = self._photo_remover.claim(caller.tenant, receipt.photo_sha256)
        self._photo_remover.remove(photos)

        # After the deed, so that the receipt counts what was really removed.
        self._identities.note_erasure(identity_id, canceled, deleted)
        event = "consent.withdrawn" if with_results else "identity.erased"
        self._audit.append(
            event,
            caller.tenant,
            caller.key_id,
            identity_id,
            jobs_canceled=str(canceled),
            results_deleted=str(deleted),
        )

        return replace(receipt, jobs_canceled=canceled, results_deleted=deleted)
