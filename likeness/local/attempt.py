"""One attempt at a task on files: what the worker keeps in its store is kept in memory here."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from likeness.local.identity import LocalIdentity
from worker.contract.jobs import JobRecord, Task
from worker.errors import JobFailure, SigningFailed, UnknownMedia
from worker.failures import FailureCode
from worker.job_context import Identities, Spent
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.provenance.marking import Marking
from worker.stores.blobs.durable_files import link
from worker.stores.identities.identity_records import IdentityRecord

Watch = Callable[[int, int | None, str], None]  # done, total, unit


@dataclass
class LocalJob:
    """A job of this command, and what its attempts leave for each other."""

    record: JobRecord
    target: Path
    identity: LocalIdentity | None
    parts: Path  # a folder for the parts of a long video
    watch: Watch
    steps: list[str] = field(default_factory=list)  # still to be done, in this order
    plan: str = ""
    outcomes: dict[str, str] = field(default_factory=dict)
    total: int = 0
    done: int = 0  # frames of the parts that are finished
    spent: dict[str, int] = field(default_factory=dict)

    def identities(self) -> list[IdentityRecord]:
        """Return the record of the job's identity, where it has one."""
        return [self.identity.record] if self.identity else []

    def add_spent(self, spent: Spent) -> None:
        """Add what an attempt cost to what the others did before."""
        for name, count in spent.items():
            self.spent[name] = self.spent.get(name, 0) + count


class LocalAttempt:
    """Implements `JobContext` on a `LocalJob`."""

    def __init__(
        self, job: LocalJob, task: Task, staging: Staging, issuer: ProvenanceIssuer | None
    ) -> None:
        self.job = job.record
        self.task = task
        self.work = staging.outward
        # Replaced by whoever serves the child, which alone knows the counts while it runs.
        self.spent: Callable[[], Spent] = dict
        self.provenance = issuer.order(job.record, task, job.identities) if issuer else None
        self.marking = Marking.of(self.provenance) if self.provenance else None
        self._local = job
        self._issuer = issuer
        self._staging = staging
        # Of this part alone; they are added to the job's once the part has ended.
        self._frames = 0

    @property
    def input(self) -> Path:
        """The target, where the child finds it; raises JobFailure `input_missing`."""
        try:
            target = self._local.target
            # Linked into the child's directory, the only one that it can read.
            return self._staging.bring_in(target.name, lambda place: link(target, place))
        except FileNotFoundError as error:
            raise JobFailure(FailureCode.INPUT_MISSING, "The target is gone.") from error

    @property
    def identities(self) -> Identities:
        """The one identity of the job; raises JobFailure where it needs none."""
        if self._local.identity is None:
            raise JobFailure(FailureCode.BAD_IDENTITY, "This job has no identity.")
        return self._local.identity

    def progress(
        self, done: int, total: int | None = None, unit: str = "frame", *, last: bool = False
    ) -> None:
        """Show how far the job is, over all its parts."""
        self._frames = done
        # A part counts from 0 and knows only its own length; the plan knows the whole.
        whole = self._local.total or total
        self._local.watch(self._local.done + done, whole, unit)

    def fan_out(
        self,
        steps: Sequence[str],
        plan: str,
        total: int,
        unit: str = "frame",
        in_flight: int = 2,
        following: str = "mux",
    ) -> None:
        """Note the parts, which this command does one after the other, and what follows them."""
        # In this order, since there is one child: `in_flight` bounds nothing here.
        self._local.steps.extend([*steps, following])
        self._local.plan = plan
        self._local.total = total
        self._local.add_spent(self.spent())

    def plan(self) -> tuple[str, Mapping[str, str]]:
        """Return the plan that was fanned out, and the parts' outcomes by step."""
        return self._local.plan, self._local.outcomes

    def publish_part(self, file: Path, suffix: str) -> str:
        """Keep a file as a part of the job; raises UnknownMedia."""
        # Named by its content, as the media store names parts: a part that is made twice is one
        # file.
        made = self._staging.take_out(file.name)
        sha256 = sha256_of(made)
        shutil.move(made, self._local.parts / f"{sha256}{suffix}")
        return sha256

    def part(self, sha256: str, suffix: str) -> Path:
        """Bring a published part in; raises UnknownMedia."""
        try:
            part = self._local.parts / f"{sha256}{suffix}"
            return self._staging.bring_in(part.name, lambda place: link(part, place))
        except FileNotFoundError as error:
            raise UnknownMedia from error

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome."""
        self._local.outcomes[self.task.step or ""] = outcome
        self._local.done += self._frames
        self._local.add_spent(self.spent())

    def sign(self, claim: bytes) -> bytes:
        """Return the signature of a claim; raises SigningFailed."""
        if self._issuer is None:
            raise SigningFailed("Results are not signed here.")
        return self._issuer.sign(claim)

    @property
    def is_screened(self) -> bool:
        """False: the never-swap list is in the store, without which this command works."""
        return False

    def screen(self, sources: bytes, targets: bytes, width: int) -> tuple[str, str]:
        """Allow everybody: the operator runs this command, and is not refused."""
        # As `screen` of the worker answers, so that the use cases need not know who asks.
        return "allowed", ""

    def time_stamp(self, message: bytes) -> bytes | None:
        """Return an authority's time-stamp of a message, None where there is none."""
        return self._issuer.time_stamp(message) if self._issuer else None

    def result(self, file: Path) -> Path:
        """Return the file of the outcome; raises UnknownMedia."""
        return self._staging.take_out(file.name)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
