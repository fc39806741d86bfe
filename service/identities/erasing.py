"""Deletion: of an identity with what was made from its face, of a job, of a photo."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace

from service.caller import Caller
from worker.contract import JobRecord
from worker.errors import JobNotFinal, UnknownJob, UnknownMedia, UploadInUse
from worker.stores.audit_log import AuditLog
from worker.stores.identity_store import ErasureReceipt, IdentityStore
from worker.stores.job_store import JobStore
from worker.stores.media_store import MediaRecord, MediaStore


class JobRemover:
    """Removes jobs that have ended."""

    def __init__(self, jobs: JobStore, media: MediaStore) -> None:
        self._jobs = jobs
        self._media = media

    def remove(self, job: JobRecord) -> None:
        """Remove a job's record, result and input; raises JobNotFinal.

        An input that another job has used stays, until it expires or its last job is removed.
        """
        self._jobs.delete(job.id)
        self._media.delete_job(job.id)
        if job.payload.input_id is not None:
            self._media.delete_unless_held(job.payload.input_id, unused=True)


class PhotoRemover:
    """Removes photos of a face: every upload of the tenant with their bytes, and its jobs."""

    def __init__(self, jobs: JobStore, media: MediaStore, remover: JobRemover) -> None:
        self._jobs = jobs
        self._media = media
        self._remover = remover

    def claim(self, tenant: str, digests: Collection[str]) -> list[MediaRecord]:
        """Reserve all uploads that are one of the photos, so that they can be removed.

        Raises UploadInUse, with nothing reserved, while a job in flight needs one of them.
        """
        claimed: list[MediaRecord] = []
        try:
            for upload_id in self._uploads(tenant, digests):
                with suppress(UnknownMedia):  # expired meanwhile
                    record = self._media.stat(upload_id, tenant)
                    self._media.claim(upload_id, tenant)
                    claimed.append(record)
        except UploadInUse:
            self.release(claimed)
            raise
        return claimed

    def release(self, claimed: Iterable[MediaRecord]) -> None:
        """Leave claimed uploads as they were."""
        for record in claimed:
            self._media.release(record)

    def remove(self, claimed: Iterable[MediaRecord]) -> None:
        """Remove claimed uploads, and the jobs whose results were made from them."""
        for record in claimed:
            for job_id in self._media.jobs_with(record.id):
                with suppress(UnknownJob, JobNotFinal):  # a claim lets no new job begin
                    self._remover.remove(self._jobs.get(job_id))
            self._media.delete(record.id)

    def remove_all(self, tenant: str, digests: Collection[str]) -> None:
        """Remove the photos now; one that a job in flight needs is removed when it has ended."""
        for upload_id in self._uploads(tenant, digests):
            try:
                record = self._media.stat(upload_id, tenant)
                self._media.claim(upload_id, tenant)
            except UnknownMedia:
                continue
            except UploadInUse:
                self._media.expire_now(upload_id)
                continue
            self.remove([record])

    def _uploads(self, tenant: str, digests: Collection[str]) -> list[str]:
        return [
            upload_id
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
        receipt = self._identities.erase(identity_id, caller.tenant)
        canceled = 0
        deleted = 0
        for job_id in receipt.jobs:
            with suppress(UnknownJob, JobNotFinal):
                job = self._jobs.get(job_id)
                if not job.final:
                    self._jobs.request_cancel(job_id)
                    canceled += 1
                elif with_results and job.result is not None:
                    self._job_remover.remove(job)
                    deleted += 1
        self._photo_remover.remove_all(caller.tenant, receipt.photo_sha256)

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
