"""From a task's name to its end: take it up, run the use case, commit what it made or say why
not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from worker.composition import Stores
from worker.contract import QUEUE_OF, JobRecord, JobResult, Problem, Task
from worker.errors import AttemptEnded, Canceled, DiskFull, JobFailure, StoreError
from worker.job_context import JobContext, Outcome, Spent, UseCases
from worker.stores.job_queue import AttemptTimedOut
from worker.stores.job_records import JobReport

log = logging.getLogger(__name__)


class TaskRunner:
    """Runs tasks, one at a time. Every way a task can end is here."""

    def __init__(self, worker: str, stores: Stores, use_cases: UseCases) -> None:
        self._worker = worker
        self._stores = stores
        self._use_cases = use_cases

    def run_task(self, task_id: str, attempt: int) -> None:
        """Do one attempt at a task.

        Raises:
            StoreError: the store is gone; the task is delivered again when it is back.
        """
        task = Task(task_id, attempt)
        try:
            job = self._stores.attempts.begin(task, self._worker)
        except AttemptEnded as ending:
            self._end(task, ending)
            return
        self._stores.queue.deliver(QUEUE_OF[job.kind])  # RQ has room for one more
        log.info("attempt begun", extra=_names(task, job))
        self._attempt(task, job)
        self._stores.queue.deliver(QUEUE_OF[job.kind])

    def _attempt(self, task: Task, job: JobRecord) -> None:
        try:
            with self._stores.media.work_dir(job.id) as work:
                self._run(JobContext(job, task, work, self._stores, self._meter()))
        except AttemptEnded as ending:
            self._end(task, ending)
        except DiskFull:
            log.warning("disk full", extra=_names(task, job))
            self._try_again(task)
        except StoreError:
            raise
        except AttemptTimedOut:
            self._fail(task, Problem("timed_out", "The job took longer than an attempt may take."))
        except MemoryError:
            log.warning("out of memory", extra=_names(task, job))
            self._fail(
                task, Problem("out_of_memory", "The job needs more memory than it may have.")
            )
        except JobFailure as failure:
            log.info("job failed", extra=_names(task, job) | {"code": failure.code})
            self._fail(task, Problem(failure.code, failure.message))
        except Exception:
            log.exception("attempt failed", extra=_names(task, job))
            self._try_again(task)

    def _meter(self) -> Callable[[], Spent]:
        began = dict(self._use_cases.counters())
        return lambda: {
            name: count - began.get(name, 0) for name, count in self._use_cases.counters().items()
        }

    def _run(self, context: JobContext) -> None:
        began = time.time()
        outcome = self._use_cases.find(context.job.kind)(context)
        if outcome is None:
            return  # a part of a film: its end is recorded, the job goes on
        created = context.job.created_at
        timings = {
            "queue_ms": (began - created) * 1e3,
            **outcome.timings,
            "total_ms": (time.time() - created) * 1e3,
        }
        told = {**outcome.report, "pack": self._use_cases.pack, "counters": context.spent()}
        report = JobReport(told, timings)
        self._commit(context, outcome, report)
        self._stores.media.tidy_job(context.job.id, context.work)
        log.info(
            "job succeeded",
            extra=_names(context.task, context.job) | {"total_ms": timings["total_ms"]},
        )

    def _commit(self, context: JobContext, outcome: Outcome, report: JobReport) -> None:
        result: JobResult | None = None
        if outcome.file is not None:
            size = outcome.file.stat().st_size
            sha256 = self._stores.media.publish(context.job.id, outcome.file, outcome.suffix)
            shape = (outcome.width, outcome.height, outcome.frames)
            result = JobResult(sha256, size, outcome.media_type, outcome.suffix, *shape)
        try:
            self._stores.attempts.commit(context.task, result, report)
        except AttemptEnded:
            job = self._stores.store.get(context.job.id)
            # While another attempt may still commit this very file it stays: the winner tidies up.
            if result is not None and job.final and job.result != result:
                self._stores.media.discard_result(job.id, result)
            raise

    def _end(self, task: Task, ending: AttemptEnded) -> None:
        log.info(
            "attempt ended", extra={"task": task.id, "attempt": task.attempt, "code": ending.code}
        )
        if isinstance(ending, Canceled):
            self._stores.store.settle_cancel(task.job_id)
            self._stores.media.delete_job(task.job_id)

    def _fail(self, task: Task, problem: Problem) -> None:
        if self._stores.attempts.fail(task, problem):
            self._stores.media.delete_job(task.job_id)

    def _try_again(self, task: Task) -> None:
        if self._stores.attempts.redeliver(task) != "waiting":
            self._stores.media.tidy_job(task.job_id)


def _names(task: Task, job: JobRecord) -> dict[str, Any]:
    return {
        "task": task.id,
        "attempt": task.attempt,
        "kind": job.kind,
        "tenant": job.tenant,
        "trace": job.payload.trace.get("traceparent", ""),
    }
