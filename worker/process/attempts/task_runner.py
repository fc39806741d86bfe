"""From a task's name to its end: take it up, have it performed, commit what it made or say why
not.
"""

from __future__ import annotations

import logging
import time

from worker.blocklist.screening import Screening
from worker.composition import Stores
from worker.contract.jobs import JobRecord, Problem, Task
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
from worker.process.attempts.attempt import Attempt
from worker.process.attempts.attempt_server import ChildLost
from worker.process.attempts.committing import Committing, Perform, log_names
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.stores.audit_log import AuditLog
from worker.stores.jobs.job_attempts import Begun
from worker.stores.jobs.job_records import JobReport

log = logging.getLogger(__name__)

# The child's words go into the audit trail: they are cut to what the checks' own take.
_BAND_CHARACTERS = 32
# How long a worker without media takes no other task, so that those that have them get it.
MEDIA_PAUSE_S = 5.0


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
        self._issuer = issuer
        self._commits = Committing(stores, perform, issuer)
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

        log.info("attempt begun", extra=log_names(task, begun.job))
        # A commit delivers what comes next by itself.
        if not self._attempt(task, begun):
            self._stores.queue.deliver(QUEUE_OF[begun.job.kind])

    def _attempt(self, task: Task, begun: Begun) -> bool:
        """Do the attempt, whatever becomes of it; return whether it committed its job."""
        job = begun.job
        try:
            return self._commits.perform(
                Attempt(begun, task, self._staging, self._stores, self._issuer, self._screening)
            )
        except AttemptEnded as ending:
            self._end(task, ending)
        # Of this machine: another one, or a later time, may have room.
        except DiskFull:
            log.warning("disk full", extra=log_names(task, job))
            self._try_again(task)
        except MediaUnavailable:
            # The media are lost to this worker, perhaps to it alone: another one may do the job.
            log.error("media out of reach", extra=log_names(task, job))
            self._stores.attempts.redeliver(task, handed_back=True)
            self._stores.queue.deliver(QUEUE_OF[job.kind])
            time.sleep(MEDIA_PAUSE_S)
        # Not recorded here: without a store nothing can be, and RQ notices a lost child by itself.
        except (StoreError, ChildLost):
            raise
        except AttemptTimedOut as late:
            log.warning("attempt timed out", extra=log_names(task, job))
            self._fail(task, Problem(FailureCode.TIMED_OUT, late.message))
        except JobFailure as failure:
            log.info("job failed", extra=log_names(task, job) | {"code": failure.code})
            # A job that swapped nobody still says whom it found.
            report = JobReport(failure.report, {}) if failure.report else None
            self._fail(task, Problem(failure.failure, failure.message), report)
            self._note_refusal(job, failure)
        except (IdentityErased, UnknownIdentity):
            log.info("identity erased", extra=log_names(task, job))
            self._fail(
                task,
                Problem(FailureCode.IDENTITY_ERASED, "An identity of this job was erased."),
            )
        except Exception:
            log.exception("attempt failed", extra=log_names(task, job))
            self._try_again(task)
        finally:
            # Whatever happened: the next job must not find this one's files.
            self._staging.clear()

        return False

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
