"""What a use case is given and what it returns: one attempt at a task, and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from worker.composition import Stores
from worker.contract import JobKind, JobRecord, Task
from worker.errors import JobFailure, Missing

REPORT_EVERY_S = 0.2
Spent: TypeAlias = dict[str, int]  # work of the engine by name, as its counters have it


@dataclass(frozen=True)
class Outcome:
    """What a job made: a file in the attempt's work directory (or none), and what is to be told
    about it.

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


class JobContext:
    """One attempt at a task, as its use case sees it."""

    def __init__(
        self, job: JobRecord, task: Task, work: Path, stores: Stores, spent: Callable[[], Spent]
    ) -> None:
        self.job = job
        self.task = task
        self.work = work
        self.media = stores.media
        self.identities = stores.identities
        self._attempts = stores.attempts
        self._spent = spent
        self._reported = -REPORT_EVERY_S

    @property
    def input(self) -> Path:
        """The file the job works on; raises JobFailure `input_missing`."""
        try:
            return self.media.path(
                self.media.stat(self.job.payload.input_id or "", self.job.tenant)
            )
        except Missing as error:
            raise JobFailure("input_missing", "The job's input is gone.") from error

    def progress(
        self, done: int, total: int | None = None, unit: str = "frame", *, last: bool = False
    ) -> None:
        """Report, and learn whether to go on; cheap enough to call for every frame. The `last` one
        always counts.

        Raises:
            Canceled, Superseded: clean up and let it pass.
        """
        now = time.monotonic()
        if now - self._reported < REPORT_EVERY_S and not last and done != total:
            return
        self._attempts.progress(self.task, done, total, unit)
        self._reported = now

    def fan_out(
        self, steps: Sequence[str], plan: str, total: int, unit: str = "frame", in_flight: int = 2
    ) -> None:
        """Have the job done in parts; return None from the use case after this.

        Raises Canceled, Superseded.
        """
        self._attempts.fan_out(self.task, steps, plan, total, unit, in_flight, self._spent())

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome (JSON); return None from the use case after this.

        Raises Canceled, Superseded.
        """
        self._attempts.finish_part(self.task, outcome, self._spent())

    def spent(self) -> Spent:
        """What the engine has done for this job: in this attempt, and in the film's parts
        before.
        """
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
