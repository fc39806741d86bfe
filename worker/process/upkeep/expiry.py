"""What is due goes: uploads, results and identities at their time, and files that lost their owner
in a crash.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from worker.blocklist.entries import erase_entry
from worker.errors import Missing, UnknownJob
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.identities.identity_vault import folder_of
from worker.stores.ids import is_id
from worker.stores.jobs.ended_records import EndedRecords
from worker.stores.jobs.job_store import CancelReason, JobStore
from worker.stores.media.media_store import MediaStore

# Large enough that a day's expiry takes few rounds, small enough to interrupt.
BATCH = 200
EXPIRY = "expiry"  # the audit log's actor for what nobody asked for
# A job in flight holds the upload; images take less than this.
HELD_AGAIN_S = 30.0
ORPHAN_AGE_S = 3600.0  # older than any write that may still be going on


class ExpirySweep:
    """Deletes what is past its time.

    Run it every few seconds, anywhere, by one process at a time.
    """

    def __init__(
        self, media: MediaStore, identities: IdentityStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._media = media
        self._identities = identities
        self._jobs = JobStore(media.redis, clock=clock)
        self._records = EndedRecords(self._jobs)
        self._upkeep = self._jobs.upkeep
        self._audit = AuditLog(media.redis, clock)
        self._clock = clock

    def run(self) -> int:
        """Delete what is due; returns how many things went."""
        self._remove_leftovers()
        self._records.pack_settled()
        gone = 0

        while True:
            due = self._upkeep.expired(BATCH)
            gone += sum(self._expire(name) for name in due)
            # A full batch means that more is due.
            if len(due) < BATCH:
                return gone

    def _remove_leftovers(self) -> None:
        """Remove the files of jobs that ended without a result while no attempt of theirs was there
        to do it.
        """
        for job_id in self._upkeep.leftovers():
            self._media.results.delete_all(job_id)
            self._upkeep.cleared(job_id)

    def _expire(self, name: str) -> bool:
        if is_id(name, "upl"):
            return self._expire_upload(name)
        if is_id(name, "job"):
            self._expire_job(name)
        elif is_id(name, "idn"):
            self._expire_identity(name)
        elif is_id(name, "blk") and erase_entry(self._media.redis, name, self._clock()):
            self._audit.append("blocklist.removed", "", EXPIRY, name)

        # Last: a crash before this repeats the deletion, which is harmless.
        self._upkeep.deleted(name)
        return True

    def _expire_job(self, job_id: str) -> None:
        self._media.results.delete_all(job_id)
        self._records.result_expired(job_id)

    def _expire_identity(self, identity_id: str) -> None:
        with suppress(Missing):  # erased by its owner in the meantime
            # Read before the erasure: the audit entry and the jobs' errors need it.
            record = self._identities.get(identity_id)
            receipt = self._identities.erase(identity_id)
            reason = self._reason(record)

            for job_id in receipt.jobs:
                with suppress(UnknownJob):
                    self._jobs.request_cancel(job_id, reason)

            self._audit.append("identity.expired", record.tenant, EXPIRY, identity_id)

    def _reason(self, record: IdentityRecord) -> CancelReason:
        """Return why its jobs end: an identity made for one job ends before its consent does."""
        try:
            ends = datetime.fromisoformat((record.consent or {}).get("expires_at", ""))
        # Without an end; and a consent that cannot be read must not keep its identity from going.
        except (TypeError, ValueError):
            return "identity_erased"

        return "consent_expired" if ends.timestamp() <= self._clock() else "identity_erased"

    def _expire_upload(self, upload_id: str) -> bool:
        # An unfinished one has the id of the whole that it would become.
        if self._media.partials.exists(upload_id):
            self._media.partials.drop(upload_id, is_whole=self._media.is_recorded(upload_id))
        if self._media.delete_unless_held(upload_id):
            return True

        # An accepted job needs it; look again when that may have ended.
        self._upkeep.expire_at(upload_id, self._clock() + HELD_AGAIN_S)
        return False

    def sweep_orphans(self) -> int:
        """Delete files that no record knows, left by a crash between two steps.

        Returns how many went.
        """
        blobs = self._media.blobs
        removed = self._media.tidy(ORPHAN_AGE_S)

        for name in blobs.older("uploads", ORPHAN_AGE_S):
            if not self._media.is_recorded(name.rpartition("/")[2].split(".")[0]):
                blobs.delete(name)
                removed += 1

        removed += self._media.partials.sweep(ORPHAN_AGE_S)
        for identity_id in {name.split("/")[2] for name in blobs.older("identities", ORPHAN_AGE_S)}:
            if is_id(identity_id, "idn") and not self._identities.exists(identity_id):
                blobs.delete_all(folder_of(identity_id))
                removed += 1

        for job_id in {name.split("/")[1] for name in blobs.older("jobs", ORPHAN_AGE_S)}:
            if is_id(job_id, "job") and not self._jobs.exists(job_id):
                self._media.results.delete_all(job_id)
                removed += 1

        return removed
