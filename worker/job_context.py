"""What a use case is given and what it returns: one attempt at a task, and its outcome.

A use case runs in the worker's confined child and sees its job only through `JobContext`, which the
parent answers (`worker.process`). Neither knows of a store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from worker.contract.jobs import JobRecord, Task
from worker.contract.requests import JobKind

if TYPE_CHECKING:
    from worker.provenance.marking import Marking
    from worker.provenance.order import ProvenanceOrder

Spent: TypeAlias = Mapping[str, int]  # work of the engine by name, as its counters have it


@dataclass(frozen=True)
class Outcome:
    """What a job made: a file in the attempt's work directory (or none), and its report.

    `timings` are milliseconds by stage; sizes are pixels; `manifest` is a file beside `file`;
    `hashes` are fingerprints of what was marked.
    """

    file: Path | None
    media_type: str = "application/octet-stream"
    suffix: str = ""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    manifest: Path | None = None
    hashes: Sequence[int] = ()


@dataclass(frozen=True)
class Performed:
    """A use case that ended: its outcome (None when it did a part of its job) and what it cost."""

    outcome: Outcome | None
    pack: str
    spent: Spent


class Identities(Protocol):
    """The identities that one job names, and no others.

    All methods raise UnknownIdentity or IdentityErased.
    """

    def quality(self, identity_id: str) -> str:
        """Return "instant" or "refined"."""

    def code(self, identity_id: str) -> bytes:
        """Return the identity's code as it was registered."""

    def weights_or_build(
        self, identity_id: str, pack: str, build: Callable[[bytes], bytes]
    ) -> bytes:
        """Return the weights for this pack; `build` makes them from the code where none are kept.

        What one caller builds, all get.
        """

    def put_refined(
        self, identity_id: str, pack: str, weights: bytes, refinement: Mapping[str, Any]
    ) -> None:
        """Replace the derived weights by refined ones; `refinement` is recorded."""


class JobContext(Protocol):
    """One attempt at a task, as its use case sees it.

    Every method may raise Canceled or Superseded: clean up and let it pass.
    """

    @property
    def job(self) -> JobRecord:
        """The job, as it was when the attempt began."""

    @property
    def task(self) -> Task:
        """The task: the whole job, or a step of it."""

    @property
    def work(self) -> Path:
        """A directory for this attempt's files, empty at first and emptied at its end."""

    @property
    def input(self) -> Path:
        """The file the job works on, to read; raises JobFailure `input_missing`."""

    @property
    def identities(self) -> Identities:
        """The identities that the job names."""

    @property
    def provenance(self) -> ProvenanceOrder | None:
        """What the result's manifest is to say; None where results are not marked."""

    @property
    def marking(self) -> Marking | None:
        """Draws this task's mark; None where results are not marked."""

    @property
    def is_screened(self) -> bool:
        """Whether faces must be compared with the never-swap list."""

    def screen(self, sources: bytes, targets: bytes, width: int) -> tuple[str, str]:
        """Return "allowed", "review" or "blocked" for faces, and the id of a review or "".

        Both are embeddings of `width` bytes (float32), one after the other: of the identities in
        use, and of the people who are to be swapped.
        """

    def sign(self, claim: bytes) -> bytes:
        """Return the installation's signature of a C2PA claim."""

    def time_stamp(self, message: bytes) -> bytes | None:
        """Return an authority's RFC 3161 token of a message, None where there is none."""

    def progress(
        self, done: int, total: int | None = None, unit: str = "frame", *, last: bool = False
    ) -> None:
        """Report, and learn whether to go on; cheap enough to call for every frame.

        The `last` report always counts.
        """

    def fan_out(
        self,
        steps: Sequence[str],
        plan: str,
        total: int,
        unit: str = "frame",
        in_flight: int = 2,
        following: str = "mux",
    ) -> None:
        """Have the job done in parts, of which `in_flight` at a time may be with the workers, and
        then in the step `following`; return None from the use case after this.
        """

    def plan(self) -> tuple[str, Mapping[str, str]]:
        """Return the plan that was fanned out, and the parts' outcomes by step."""

    def publish_part(self, file: Path, suffix: str) -> str:
        """Keep a file of the work directory as a part of the job; return its SHA-256 (hex)."""

    def part(self, sha256: str, suffix: str) -> Path:
        """Return a part that was published, to read."""

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome (JSON); return None from the use case after this."""


UseCase = Callable[[JobContext], Outcome | None]


class UseCases(Protocol):
    """What a warm child can do, with its models loaded."""

    @property
    def pack(self) -> str:
        """The id of the pack that is loaded."""

    def find(self, kind: JobKind) -> UseCase:
        """Return the use case for a kind of job."""

    def counters(self) -> Mapping[str, int]:
        """Return what the engine has done since it was loaded."""

    def forget(self, identity_id: str) -> None:
        """Drop what is held of an erased identity; comes from another thread, also during a job."""
