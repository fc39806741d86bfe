"""Performs an attempt and commits its outcome: the file, its provenance record, then the job."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from worker.composition import Stores
from worker.contract.jobs import JobRecord, JobResult, Task
from worker.contract.requests import QUEUE_OF
from worker.errors import AttemptEnded
from worker.job_context import Outcome, Performed
from worker.process.attempts.attempt import Attempt
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.provenance.names import DETACHED
from worker.stores.jobs.job_records import JobReport

log = logging.getLogger(__name__)

Perform: TypeAlias = Callable[[Attempt], Performed]


class Committing:
    """Has attempts performed and commits what they made."""

    def __init__(self, stores: Stores, perform: Perform, issuer: ProvenanceIssuer | None) -> None:
        """Without an `issuer`, results are neither marked nor signed."""
        self._stores = stores
        self._perform = perform
        self._issuer = issuer

    def perform(self, attempt: Attempt) -> bool:
        """Perform an attempt and commit what it made; return whether it ended its job.

        Raises what the use case does, AttemptEnded, DiskFull, MediaUnavailable, StoreError.
        """
        began = time.time()
        performed = self._perform(attempt)
        outcome = performed.outcome

        if outcome is None:
            return False  # a part of a video: its end is recorded, the job goes on

        created = attempt.job.created_at
        timings = {
            # Of a video in parts, until its last part began; what the client waited is `total_ms`.
            "queue_ms": (began - created) * 1e3,
            **outcome.timings,
            "total_ms": (time.time() - created) * 1e3,
        }

        counters = self._counters(attempt.task, performed)
        report = {**outcome.report, "pack": performed.pack, "counters": counters}
        self._commit(attempt, outcome, JobReport(report, timings))
        # After the commit: a crash in between leaves parts that expire with the job.
        self._stores.media.results.delete_parts(attempt.job.id)
        log.info(
            "job succeeded",
            extra=log_names(attempt.task, attempt.job) | {"total_ms": timings["total_ms"]},
        )
        return True

    def _counters(self, task: Task, performed: Performed) -> dict[str, int]:
        """Add what this attempt cost to what the parts of a video did before."""
        now = performed.spent
        before = self._stores.attempts.spent(task.job_id) if task.step else {}
        return {name: now.get(name, 0) + before.get(name, 0) for name in now.keys() | before.keys()}

    def _commit(self, attempt: Attempt, outcome: Outcome, report: JobReport) -> None:
        media = self._stores.media
        job_id = attempt.job.id
        result: JobResult | None = None

        if outcome.file is not None:
            file = attempt.result(outcome.file)
            size = file.stat().st_size
            result = JobResult(
                # On the disk under its hash before the record says so.
                sha256=media.results.publish(job_id, file, outcome.suffix),
                bytes=size,
                media_type=outcome.media_type,
                suffix=outcome.suffix,
                width=outcome.width,
                height=outcome.height,
                frames=outcome.frames,
            )
            # Before the commit: a result that can be fetched must be known to verification.
            self._record(attempt, outcome, result)

        try:
            self._stores.attempts.commit(
                attempt.task,
                result,
                report,
                audit=self._announcements(attempt, outcome, result),
                deliver_on=QUEUE_OF[attempt.job.kind],
            )
        except AttemptEnded:
            job = self._stores.jobs.get(job_id)
            # While another attempt may still commit this very file it stays: the winner tidies up.
            if result is not None and job.final and job.result != result:
                media.results.discard(job.id, result)

            raise

    def _announcements(
        self, attempt: Attempt, outcome: Outcome, result: JobResult | None
    ) -> list[str]:
        """Return what the audit trail is to say of a result that was marked."""
        if self._issuer is None or result is None or outcome.manifest is None:
            return []
        if attempt.job.payload.mark_id is None:
            return []

        return [self._issuer.audit_entry(attempt.job, result, result.media_type not in DETACHED)]

    def _record(self, attempt: Attempt, outcome: Outcome, result: JobResult) -> None:
        if self._issuer is None or attempt.provenance is None:
            return
        # An export's manifest is inside its archive.
        manifest = attempt.result(outcome.manifest).read_bytes() if outcome.manifest else b""
        receipts = attempt.provenance.consent_receipts
        self._issuer.record(attempt.job, result, outcome, manifest, receipts)


def log_names(task: Task, job: JobRecord) -> dict[str, Any]:
    """Return what every log line of an attempt says of it."""
    return {
        "task": task.id,
        "attempt": task.attempt,
        "kind": job.kind,
        "tenant": job.tenant,
        "trace": job.payload.trace.get("traceparent", ""),
    }
