"""What a worker may do to a job: take up an attempt, report, end it, or hand it on.

Everything is fenced by the attempt's number: a stale attempt learns that it is stale, and changes
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from worker.contract.jobs import JobRecord, JobResult, Problem, Task
from worker.contract.requests import QueueName
from worker.errors import Canceled, IdentityErased, Superseded
from worker.failures import FailureCode
from worker.stores.connection import reaching, text_fields, texts
from worker.stores.identities.identity_records import (
    IdentityRecord,
    read_identity,
    stored_fields,
)
from worker.stores.jobs.deliveries import delivery
from worker.stores.jobs.job_records import Ending, JobReport, read_record
from worker.stores.jobs.job_store import JobStore, task_names
from worker.stores.keys import JOB_PARTS, JOB_SPENT
from worker.stores.media.uploads import MediaRecord, read_upload

Redelivery = Literal["waiting", "exhausted", "canceling", "superseded"]


@dataclass(frozen=True)
class Begun:
    """A job to do and the records that it needs, as they were when its attempt began.

    What is gone by then is missing. `list_version` is that of the never-swap list.
    """

    job: JobRecord
    identities: Mapping[str, IdentityRecord]
    upload: MediaRecord | None
    list_version: bytes


class JobAttempts:
    """Deliveries of jobs to workers, and what becomes of them."""

    def __init__(self, store: JobStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._limits = store.limits
        self._clock = clock

    def deliver(self, queue: QueueName) -> Sequence[Task]:
        """Hand RQ the tasks that it should hold now, tenants in turn; return them."""
        script, arguments = delivery(queue, self._limits, self._clock())
        names = texts(self._store.scripts.run(script, arguments))
        return [
            Task(task, int(attempt)) for task, attempt in zip(names[::2], names[1::2], strict=True)
        ]

    def begin(self, task: Task, worker: str) -> Begun:
        """Take up an attempt; returns the job to do, and what the store has of what it needs.

        Raises:
            Canceled, Superseded: this attempt has nothing to do.
        """
        arguments = {**task_names(task), "worker": worker, "now": repr(self._clock())}
        answer = self._store.scripts.run("begin", arguments)
        if isinstance(answer, bytes):
            _raise_if_ended(answer.decode())

        record, identities, upload, list_version = answer
        return Begun(
            job=read_record(text_fields(_as_fields(record))),
            identities={
                name.decode(): read_identity(stored_fields(name.decode(), fields), cached=False)
                for name, reply in identities
                if (fields := _as_fields(reply))
            },
            upload=read_upload(text_fields(_as_fields(upload))) if upload else None,
            list_version=list_version,
        )

    def progress(self, task: Task, done: int, total: int | None, unit: str) -> None:
        """Note how far the attempt is, and learn whether it may go on.

        Raises:
            Canceled, Superseded: stop now and leave nothing behind.
        """
        self._fenced("progress", task, done=done, total=total, unit=unit, now=repr(self._clock()))

    def commit(
        self,
        task: Task,
        result: JobResult | None,
        report: JobReport,
        audit: Sequence[str] = (),
        deliver_on: QueueName | None = None,
    ) -> None:
        """End the job as succeeded, unless another attempt or a cancellation came first.

        The entries of `audit` are written in the same step, and RQ is handed what comes next on a
        queue in the same round trip.

        Raises:
            Canceled, Superseded: nothing was changed; the file is not wanted.
            IdentityErased: likewise; nothing may be made of the job's face any more.
        """
        ending = Ending(
            "succeeded", result=result, report=report, audit=audit, deliver_on=deliver_on
        )
        answer = self._store.settle(task.job_id, task, ending)
        _raise_if_ended(answer)

    def fail(
        self, task: Task, error: Problem, dead: bool = False, report: JobReport | None = None
    ) -> bool:
        """End the job as failed; `dead` puts it among the dead letters.

        False when it was not this attempt's to end.
        """
        ending = Ending("failed", error=error, dead=dead, report=report)
        return self._store.settle(task.job_id, task, ending) == "failed"

    def redeliver(self, task: Task, handed_back: bool = False) -> Redelivery:
        """Let the next attempt begin; `handed_back` when this one gave up for no fault of the
        job's.

        A job that was begun too often ends as failed with `attempts_exhausted`, among the dead
        letters.
        """
        bounds = {"max_begun": self._limits.max_begun, "max_attempts": self._limits.max_attempts}
        arguments = {**task_names(task), "handed_back": handed_back, "now": self._clock()}
        answer = self._store.scripts.run("redeliver", arguments | bounds)
        outcome = cast(Redelivery, answer.decode())

        # The script only counts; ending the job is one step of its own, fenced like any other.
        if outcome == "exhausted":
            problem = Problem(
                FailureCode.ATTEMPTS_EXHAUSTED,
                f"The job was tried {self._limits.max_begun} times and never ended.",
            )
            self.fail(task, problem, dead=True)
        elif outcome == "canceling":
            self._store.settle_cancel(task.job_id)

        return outcome

    def fan_out(  # noqa: PLR0913 - the script takes them by name
        self,
        task: Task,
        steps: Sequence[str],
        plan: str,
        total: int,
        unit: str,
        in_flight: int,
        spent: Mapping[str, int] = MappingProxyType({}),
        following: str = "mux",
    ) -> None:
        """Replace a task by one per step, of which `in_flight` at a time may be with the workers;
        the step `following` begins when all of them are done.

        Raises:
            Canceled, Superseded
        """
        script = {
            # The job's id is part of a task's name, so that a name alone finds its job.
            "parts": [f"{task.job_id}-{step}" for step in steps],
            "plan": plan,
            "in_flight": in_flight,
            "following": following,
        }

        now_ms = int(self._clock() * 1000)
        self._fenced(
            "fan_out", task, **script, total=total, unit=unit, now_ms=now_ms, spent=dict(spent)
        )

    def finish_part(
        self, task: Task, outcome: str, spent: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Record one part's outcome (JSON) and what it cost; the last one lets the step that
        follows begin.

        Raises:
            Canceled, Superseded
        """
        now_ms = int(self._clock() * 1000)
        self._fenced("finish_part", task, outcome=outcome, now_ms=now_ms, spent=dict(spent))

    def spent(self, job_id: str) -> dict[str, int]:
        """Return what the finished parts of a video have cost, by counter."""
        with reaching():
            counted = text_fields(self._store.redis.hgetall(JOB_SPENT(job_id)))
        return {name: int(count) for name, count in counted.items()}

    def plan(self, job_id: str) -> tuple[str, dict[str, str]]:
        """Return a video's plan and the outcomes so far, by step; both as they were stored."""
        with reaching():
            parts = text_fields(self._store.redis.hgetall(JOB_PARTS(job_id)))

        # By step: use cases know nothing of tasks' names.
        outcomes = {task.partition("-")[2]: outcome for task, outcome in parts.items()}
        return self._store.plan(job_id), outcomes

    def _fenced(self, script: str, task: Task, **arguments: Any) -> None:  # noqa: ANN401 - goes straight into JSON
        _raise_if_ended(self._store.scripts.run(script, {**task_names(task), **arguments}).decode())


def _raise_if_ended(answer: str) -> None:
    # Any other answer means that the attempt may go on.
    if answer == "canceling":
        raise Canceled
    if answer == "superseded":
        raise Superseded
    if answer == "identity_erased":
        raise IdentityErased


def _as_fields(reply: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return a hash as a script returns it: names and values in turn."""
    return dict(zip(reply[::2], reply[1::2], strict=True))
