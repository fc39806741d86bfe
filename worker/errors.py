"""Errors of the jobs' side, as one tree; each has a stable `code` and a message that is safe to
show.

WorkerError
├── StoreError
│   ├── StoreUnavailable       the store does not answer
│   ├── StoreFull              the store is at maxmemory: reads go on, writes do not
│   ├── StoreUnsuitable        the store would evict our keys, or lacks what we need
│   ├── MediaUnavailable       the media directory or bucket is lost, or the disk fails
│   ├── MediaUnsuitable        it is another installation's, or keeps what was deleted
│   └── DiskFull               the media directory has no room
├── AdmissionRefused           nothing was accepted; `retry_after_s` says when to come back
│   ├── QuotaExceeded          this tenant has too much in flight
│   ├── StorageQuotaExceeded   this tenant has too many bytes stored
│   └── QueueFull              everybody together has too much in flight
├── IdempotencyMismatch        the same key came with another body
├── IdempotencyInProgress      the first request with this key is still running
├── Missing                    no such thing for this tenant; a foreign id reads the same
│   ├── UnknownJob, UnknownMedia, UnknownIdentity, UnknownKey, UnknownEndpoint
│   ├── UnknownBlocklistEntry, UnknownReview, UnknownBatch
│   └── Gone
│       ├── IdentityErased
│       └── ResultExpired
├── UploadInUse                a job in flight, or a registration, needs the upload
├── JobNotFinal                the job still runs: there is no result to fetch, nothing to delete
├── TrustKeyBroken             a key or certificate in the trust directory cannot be used
├── BlocklistUnreadable        an entry of the never-swap list cannot be opened with this key
├── BlocklistFull              the never-swap list has no room
├── AuditBroken                the audit trail was changed after it was written
├── SigningFailed              a result could not be signed
├── KeyRefused                 no such key, wrong secret, revoked or out of date
├── JobFailure                 the job cannot succeed however often it is tried; `code` names why
├── AttemptTimedOut            an attempt took longer than it may
└── AttemptEnded               this attempt must stop and leave nothing behind
    ├── Canceled               somebody asked for it, or the deadline passed
    └── Superseded             another attempt has taken over, or the job is final
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from worker.failures import FailureCode


class WorkerError(Exception):
    code = "worker_error"
    message = "The request could not be carried out."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message


class StoreError(WorkerError):
    code = "store_error"


class StoreUnavailable(StoreError):
    code = "store_unavailable"
    message = "The job store does not answer; try again shortly."


class StoreFull(StoreError):
    code = "store_full"
    message = "The job store is out of memory; try again later."


class StoreUnsuitable(StoreError):
    code = "store_unsuitable"
    message = "The job store is not configured to keep what it is given."


class MediaUnavailable(StoreError):
    code = "media_unavailable"
    message = "The media cannot be read or written; try again shortly."


class MediaUnsuitable(StoreError):
    code = "media_unsuitable"
    message = "The media directory or bucket is not one to keep media in."


class DiskFull(StoreError):
    code = "disk_full"
    message = "There is no room left for files; try again later."


class AdmissionRefused(WorkerError):
    code = "admission_refused"
    # A quota frees up when a job ends, which takes seconds.
    retry_after_s = 5


class QuotaExceeded(AdmissionRefused):
    code = "quota_exceeded"
    message = "Quota exceeded: too many jobs or input bytes in flight."


class StorageQuotaExceeded(AdmissionRefused):
    code = "storage_quota"
    message = "Quota exceeded: too many bytes stored; delete uploads or jobs."
    retry_after_s = 60  # nothing frees room by itself before something expires


class QueueFull(AdmissionRefused):
    code = "queue_full"
    message = "The queue is full; try again shortly."


class IdempotencyMismatch(WorkerError):
    code = "idempotency_mismatch"
    message = "This Idempotency-Key was used with another request body."


class IdempotencyInProgress(WorkerError):
    code = "idempotency_in_progress"
    message = "The first request with this Idempotency-Key is still running."
    retry_after_s = 1  # creations take seconds at most


class Missing(WorkerError):
    code = "not_found"
    message = "Not found."


class UnknownJob(Missing):
    message = "There is no such job."


class UnknownMedia(Missing):
    message = "There is no such upload."


class UnknownBatch(Missing):
    message = "There is no such batch."


class UnknownIdentity(Missing):
    message = "There is no such identity."


class UnknownKey(Missing):
    message = "There is no such key."


class UnknownEndpoint(Missing):
    message = "There is no such webhook endpoint."


class UnknownBlocklistEntry(Missing):
    message = "There is no such entry or request."


class UnknownReview(Missing):
    message = "There is no such review."


class Gone(Missing):
    code = "gone"
    message = "What this request created has been deleted."


class IdentityErased(Gone):
    code = "identity_erased"
    message = "This identity was erased."


class ResultExpired(Gone):
    code = "result_expired"
    message = "The result has expired and was deleted."


class UploadInUse(WorkerError):
    code = "upload_in_use"
    message = "A job in flight, or a registration, needs this upload; wait for it to end."


class JobNotFinal(WorkerError):
    code = "job_not_final"
    message = "The job has not ended yet."


class KeyRefused(WorkerError):
    code = "unauthorized"
    message = "The API key is missing, unknown, revoked or out of date."


class JobFailure(WorkerError):
    """A final failure of a job: trying again would give the same.

    `detail` is shown to the user and names no path; `report` is what the job has to tell
    nevertheless, as of a job that succeeds.
    """

    def __init__(
        self, code: FailureCode, detail: str, report: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(detail)
        # The wire's text; `failure` is the same as an enum.
        self.code: str = code
        self.failure = code
        self.report = report


class AttemptTimedOut(WorkerError):
    code = "timed_out"
    message = "The job took longer than an attempt may take."


class AttemptEnded(WorkerError):
    code = "attempt_ended"


class Canceled(AttemptEnded):
    code = "canceled"
    message = "The job was canceled."


class Superseded(AttemptEnded):
    code = "superseded"
    message = "Another attempt has taken over."


class TrustKeyBroken(WorkerError):
    code = "trust_key_broken"
    message = "A key or certificate in the trust directory cannot be used."


class SigningFailed(WorkerError):
    code = "signing_failed"
    message = "The result could not be signed."


class AuditBroken(WorkerError):
    code = "audit_broken"
    message = "The audit trail was changed after it was written."


class BlocklistUnreadable(WorkerError):
    code = "trust_key_broken"
    message = "An entry of the never-swap list cannot be opened: is trust/blocklist.key another?"


class BlocklistFull(WorkerError):
    code = "blocklist_full"
    message = "The never-swap list has no room for more entries or requests."
