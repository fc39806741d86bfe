"""Records of jobs that ended: packed after a while, and found no more once their result is gone."""

from __future__ import annotations

from contextlib import suppress

from worker.errors import UnknownJob
from worker.stores.connection import text_fields
from worker.stores.jobs.job_records import uploads_of
from worker.stores.jobs.job_store import JobStore
from worker.stores.jobs.packed_record import PACKED, pack


class EndedRecords:
    """What housekeeping does to the records of ended jobs."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def pack_settled(self) -> int:
        """Pack the records of jobs that ended ten minutes ago or before; return how many.

        Nothing that a client sees is lost but the events, of which only the last one stays.
        """
        names = self._jobs.upkeep.settled_for(self._jobs.limits.pack_after_s)
        for job_id in names:
            reply = self._jobs.stored(job_id)
            # Deleted meanwhile, or packed by another process that leads for a moment too.
            if not reply or PACKED in reply:
                self._jobs.upkeep.packed(job_id)
                continue

            record = pack(text_fields(reply))
            arguments = {
                "job": job_id,
                "version": record.kept["version"],
                "fields": dict(record.kept),
            }
            # The version fences it: a record that changed since it was read stays as it is.
            self._jobs.scripts.run("pack_job", arguments, blob=record.packed)

        return len(names)

    def result_expired(self, job_id: str) -> None:
        """Let a job be found no more among the dead letters and by the identities it used.

        Its record stays for a while, so that a client learns that the result has expired.
        """
        with suppress(UnknownJob):
            job = self._jobs.get(job_id)
            self._jobs.upkeep.result_expired(job_id, job.payload.identities(), uploads_of(job))
