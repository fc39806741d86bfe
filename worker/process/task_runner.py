"""From a task's name to its end: take it up, have it performed, commit what it made or say why
not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from worker.blocklist.screening import Screening
from worker.composition import Stores
from worker.contract.jobs import JobRecord, JobResult, Problem, Task
from worker.contract.requests import QUEUE_OF
from worker.errors import (
    AttemptEnded,
    AttemptTimedOut,
    Canceled,
    DiskFull,
    IdentityErased,
    JobFailure,
    MediaUnavailable,
    StoreError,
    UnknownIdentity,
)
from worker.failures import FailureCode
from worker.job_context import Outcome, Performed
from worker.process.attempt import Attempt
from worker.process.attempt_server import ChildLost
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.provenance.names import DETACHED
from worker.stores.audit_log import AuditLog
from worker.stores.jobs.job_attempts import Begun
from worker.stores.jobs.job_records import JobReport

log = logging.getLogger(__name__)

# The child's words go into the audit trail: they are cut to what the checks' own take.
_BAND_CHARACTERS = 32
# How long a worker without media takes no other task, so that those that have them get it.
MEDIA_PAUSE_S = 5.0

Perform: TypeAlias = Callable[[Attempt], Performed]


class TaskRunner:
    """Runs tasks, one at a time, in the parent. Every way a task can end is here."""

    def __init__(
        self,
        worker: str,
        stores: Stores,
        staging: Staging,
        perform: Perform,
        issuer: ProvenanceIssuer | None = None,
        screening: Screening | None = None,
    ) -> None:
        """Run tasks as `worker`.

        Without an `issuer`, results are neither marked nor signed; without a `screening`, nobody
        is compared with the never-swap list.
        """
        self._worker = worker
        self._stores = stores
        self._staging = staging
        self._perform = perform
        self._issuer = issuer
        self._audit = AuditLog(stores.jobs.redis)
        self._screening = screening

    def run_task(self, task_id: str, attempt: int) -> None:
        """Do one attempt at a task.

        Raises:
            StoreError: the store is gone; the task is delivered again when it is back.
            ChildLost: the child died; the task is the caller's to deliver again.
        """
        task = Task(task_id, attempt)
        try:
            begun = self._stores.attempts.begin(task, self._worker)
        except AttemptEnded as ending:
            self._end(task, ending)
            return

        log.info("attempt begun", extra=_names(task, begun.job))
        # A commit delivers what comes next by itself.
        if not self._attempt(task, begun):
            self._stores.queue.deliver(QUEUE_OF[begun.job.kind])

    def _attempt(self, task: Task, begun: Begun) -> bool:
        """Do the attempt, whatever becomes of it; return whether it committed its job."""
        job = begun.job
        try:
            return self._run(
                Attempt(begun, task, self._staging, self._stores, self._issuer, self._screening)
            )
        except AttemptEnded as ending:
            self._end(task, ending)
        # Of this machine: another one, or a later time, may have room.
        except DiskFull:
            log.warning("disk full", extra=_names(task, job))
            self._try_again(task)
        except MediaUnavailable:
            # The media are lost to this worker, perhaps to it alone: another one may do the job.
            log.error("media out of reach", extra=_names(task, job))
            self._stores.attempts.redeliver(task, handed_back=True)
            self._stores.queue.deliver(QUEUE_OF[job.kind])
            time.sleep(MEDIA_PAUSE_S)
        # Not recorded here: without a store nothing can be, and RQ notices a lost child by itself.
        except (StoreError, ChildLost):
            raise
        except AttemptTimedOut as late:
            log.warning("attempt timed out", extra=_names(task, job))
            self._fail(task, Problem(FailureCode.TIMED_OUT, late.message))
        except JobFailure as failure:
            log.info("job failed", extra=_names(task, job) | {"code": failure.code})
            # A job that swapped nobody still says whom it found.
            report = JobReport(failure.report, {}) if failure.report else None
            self._fail(task, Problem(failure.failure, failure.message), report)
            self._note_refusal(job, failure)
        except (IdentityErased, UnknownIdentity):
            log.info("identity erased", extra=_names(task, job))
            self._fail(
                task,
                Problem(FailureCode.IDENTITY_ERASED, "An identity of this job was erased."),
            )
        except Exception:
            log.exception("attempt failed", extra=_names(task, job))
            self._try_again(task)
        finally:
            # Whatever happened: the next job must not find this one's files.
            self._staging.clear()

        return False

    def _run(self, attempt: Attempt) -> bool:
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
            extra=_names(attempt.task, attempt.job) | {"total_ms": timings["total_ms"]},
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

    def _end(self, task: Task, ending: AttemptEnded) -> None:
        log.info(
            "attempt ended", extra={"task": task.id, "attempt": task.attempt, "code": ending.code}
        )
        # A superseded attempt leaves the files alone: they are the other attempt's.
        if isinstance(ending, Canceled):
            self._stores.jobs.settle_cancel(task.job_id)
            self._stores.media.results.delete_all(task.job_id)

    def _note_refusal(self, job: JobRecord, failure: JobFailure) -> None:
        """Note in the audit trail that a target was refused for what it shows.

        The child says how sure the check was; whatever else it says there is left out.
        """
        if failure.failure.check is None:
            return

        refused = failure.report.get("refused", {})
        band = str(refused.get("band", ""))[:_BAND_CHARACTERS] if isinstance(refused, dict) else ""
        self._audit.append(
            "request.refused",
            job.tenant,
            "worker",
            job.id,
            code=failure.code,
            check=failure.failure.check,
            band=band,
        )

    def _fail(self, task: Task, problem: Problem, report: JobReport | None = None) -> None:
        # False when the job ended otherwise meanwhile; then its files are not ours to delete.
        if self._stores.attempts.fail(task, problem, report=report):
            self._stores.media.results.delete_all(task.job_id)

    def _try_again(self, task: Task) -> None:
        # The job is over (exhausted or cancelled), so its parts are of no use.
        if self._stores.attempts.redeliver(task) != "waiting":
            self._stores.media.results.delete_parts(task.job_id)


def _names(task: Task, job: JobRecord) -> dict[str, Any]:
    return {
        "task": task.id,
        "attempt": task.attempt,
        "kind": job.kind,
        "tenant": job.tenant,
        "trace": job.payload.trace.get("traceparent", ""),
    }
