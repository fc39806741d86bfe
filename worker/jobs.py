"""From a task's name to its end: take it up, run the use case, commit what it made or say why not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from worker.contract import QUEUE_OF, JobKind, JobRecord, JobResult, Problem, Task
from worker.errors import AttemptEnded, Canceled, DiskFull, JobFailure, Missing, StoreError
from worker.identity_store import IdentityStore
from worker.job_attempts import JobAttempts
from worker.job_queue import AttemptTimedOut, JobQueue
from worker.job_records import JobReport
from worker.job_store import JobStore
from worker.media_store import MediaStore

log = logging.getLogger(__name__)

REPORT_EVERY_S = 0.2
Spent: TypeAlias = dict[str, int]  # work of the engine by name, as its counters have it


@dataclass(frozen=True)
class Outcome:
    """What a job made: a file in the attempt's work directory (or none), and what is to be told about it.

    `timings` are milliseconds by stage; sizes are pixels.
    """

    file: Path | None
    media_type: str = "application/octet-stream"
    suffix: str = ""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Workshop:
    """The stores a worker works with."""

    store: JobStore
    attempts: JobAttempts
    media: MediaStore
    identities: IdentityStore
    queue: JobQueue


class JobContext:
    """One attempt at a task, as its use case sees it."""

    def __init__(self, job: JobRecord, task: Task, work: Path, shop: Workshop, spent: Callable[[], Spent]) -> None:
        self.job = job
        self.task = task
        self.work = work
        self.media = shop.media
        self.identities = shop.identities
        self._attempts = shop.attempts
        self._spent = spent
        self._reported = -REPORT_EVERY_S

    @property
    def input(self) -> Path:
        """The file the job works on; raises JobFailure `input_missing`."""
        try:
            return self.media.path(self.media.stat(self.job.payload.input_id or "", self.job.tenant))
        except Missing as error:
            raise JobFailure("input_missing", "The job's input is gone.") from error

    def progress(self, done: int, total: int | None = None, unit: str = "frame", *, last: bool = False) -> None:
        """Report, and learn whether to go on; cheap enough to call for every frame. The `last` one always counts.

        Raises:
            Canceled, Superseded: clean up and let it pass.
        """
        now = time.monotonic()
        if now - self._reported < REPORT_EVERY_S and not last and done != total:
            return
        self._attempts.progress(self.task, done, total, unit)
        self._reported = now

    def fan_out(self, steps: Sequence[str], plan: str, total: int, unit: str = "frame", in_flight: int = 2) -> None:
        """Have the job done in parts; return None from the use case after this. Raises Canceled, Superseded."""
        self._attempts.fan_out(self.task, steps, plan, total, unit, in_flight, self._spent())

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome (JSON); return None from the use case after this. Raises Canceled, Superseded."""
        self._attempts.finish_part(self.task, outcome, self._spent())

    def spent(self) -> Spent:
        """What the engine has done for this job: in this attempt, and in the film's parts before."""
        now, before = self._spent(), self._attempts.spent(self.job.id)
        return {name: now.get(name, 0) + before.get(name, 0) for name in now.keys() | before.keys()}

    def plan(self) -> tuple[str, dict[str, str]]:
        """The plan that was fanned out, and the parts' outcomes by step."""
        return self._attempts.plan(self.job.id)


UseCase = Callable[[JobContext], Outcome | None]


class UseCases(Protocol):
    """What a warm child can do, with its models loaded."""

    @property
    def pack(self) -> str: ...
    def find(self, kind: JobKind) -> UseCase: ...
    def counters(self) -> Mapping[str, int]: ...

    def forget(self, identity_id: str) -> None:
        """Drop what is held of an erased identity; comes from another thread, also during a job."""


class TaskRunner:
    """Runs tasks, one at a time. Every way a task can end is here."""

    def __init__(self, worker: str, shop: Workshop, use_cases: UseCases) -> None:
        self._worker = worker
        self._shop = shop
        self._use_cases = use_cases

    def run_task(self, task_id: str, attempt: int) -> None:
        """Do one attempt at a task.

        Raises:
            StoreError: the store is gone; the task is delivered again when it is back.
        """
        task = Task(task_id, attempt)
        try:
            job = self._shop.attempts.begin(task, self._worker)
        except AttemptEnded as ending:
            self._end(task, ending)
            return
        self._shop.queue.deliver(QUEUE_OF[job.kind])  # RQ has room for one more
        log.info("attempt begun", extra=_names(task, job))
        self._attempt(task, job)
        self._shop.queue.deliver(QUEUE_OF[job.kind])

    def _attempt(self, task: Task, job: JobRecord) -> None:
        try:
            with self._shop.media.work_dir(job.id) as work:
                self._run(JobContext(job, task, work, self._shop, self._meter()))
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
            self._fail(task, Problem("out_of_memory", "The job needs more memory than it may have."))
        except JobFailure as failure:
            log.info("job failed", extra=_names(task, job) | {"code": failure.code})
            self._fail(task, Problem(failure.code, failure.message))
        except Exception:
            log.exception("attempt failed", extra=_names(task, job))
            self._try_again(task)

    def _meter(self) -> Callable[[], Spent]:
        began = dict(self._use_cases.counters())
        return lambda: {name: count - began.get(name, 0) for name, count in self._use_cases.counters().items()}

    def _run(self, context: JobContext) -> None:
        began = time.time()
        outcome = self._use_cases.find(context.job.kind)(context)
        if outcome is None:
            return  # a part of a film: its end is recorded, the job goes on
        created = context.job.created_at
        timings = {"queue_ms": (began - created) * 1e3, **outcome.timings, "total_ms": (time.time() - created) * 1e3}
        told = {**outcome.report, "pack": self._use_cases.pack, "counters": context.spent()}
        report = JobReport(told, timings)
        self._commit(context, outcome, report)
        self._shop.media.tidy_job(context.job.id, context.work)
        log.info("job succeeded", extra=_names(context.task, context.job) | {"total_ms": timings["total_ms"]})

    def _commit(self, context: JobContext, outcome: Outcome, report: JobReport) -> None:
        result: JobResult | None = None
        if outcome.file is not None:
            size = outcome.file.stat().st_size
            sha256 = self._shop.media.publish(context.job.id, outcome.file, outcome.suffix)
            shape = (outcome.width, outcome.height, outcome.frames)
            result = JobResult(sha256, size, outcome.media_type, outcome.suffix, *shape)
        try:
            self._shop.attempts.commit(context.task, result, report)
        except AttemptEnded:
            job = self._shop.store.get(context.job.id)
            # While another attempt may still commit this very file it stays: the winner tidies up.
            if result is not None and job.final and job.result != result:
                self._shop.media.discard_result(job.id, result)
            raise

    def _end(self, task: Task, ending: AttemptEnded) -> None:
        log.info("attempt ended", extra={"task": task.id, "attempt": task.attempt, "code": ending.code})
        if isinstance(ending, Canceled):
            self._shop.store.settle_cancel(task.job_id)
            self._shop.media.delete_job(task.job_id)

    def _fail(self, task: Task, problem: Problem) -> None:
        if self._shop.attempts.fail(task, problem):
            self._shop.media.delete_job(task.job_id)

    def _try_again(self, task: Task) -> None:
        if self._shop.attempts.redeliver(task) != "waiting":
            self._shop.media.tidy_job(task.job_id)


def _names(task: Task, job: JobRecord) -> dict[str, Any]:
    return {
        "task": task.id,
        "attempt": task.attempt,
        "kind": job.kind,
        "tenant": job.tenant,
        "trace": job.payload.trace.get("traceparent", ""),
    }
