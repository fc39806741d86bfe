"""The child's side of what a use case sees: every wish is a message to the parent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from worker.contract.jobs import JobRecord, Task
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import Spent
from worker.process import requests
from worker.process.parent import Parent
from worker.provenance.order import ProvenanceOrder

if TYPE_CHECKING:
    from worker.provenance.marking import Marking

log = logging.getLogger(__name__)

REPORT_EVERY_S = 0.2  # each report is a round trip to the store; a viewer sees no finer steps


@dataclass(frozen=True)
class JobOrder:
    """What the parent hands over for one attempt; `input` is a name among the files brought in."""

    job: JobRecord
    task: Task
    input: str | None
    provenance: ProvenanceOrder | None = None
    is_screened: bool = False


JOB_ORDER: TypeAdapter[JobOrder] = TypeAdapter(JobOrder)


class RemoteIdentities:
    """Implements `Identities` by asking the parent."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def quality(self, identity_id: str) -> str:
        """Return "instant" or "refined"."""
        request = requests.ReadQuality(identity=identity_id)
        return str(self._parent.ask(request).header["quality"])

    def code(self, identity_id: str) -> bytes:
        """Return the identity's code."""
        return self._parent.ask(requests.ReadCode(identity=identity_id)).blobs[0]

    def weights_or_build(
        self,
        identity_id: str,
        pack: str,  # noqa: ARG002 - the parent knows it
        build: Callable[[bytes], bytes],
    ) -> bytes:
        """Return the weights for the pack that this child has loaded.

        The parent knows the pack, and holds the lock while `build` runs.
        """
        answer = self._parent.ask(requests.ReadWeights(identity=identity_id))
        if answer.header.get("build"):
            try:
                built = [build(answer.blobs[0])]
            # Also a cancellation: the parent waits for this answer with the lock held.
            except BaseException:
                self._parent.ask(requests.Built())  # the parent frees the lock
                raise

            answer = self._parent.ask(requests.Built(), built)

        return answer.blobs[0]

    def put_refined(
        self,
        identity_id: str,
        pack: str,  # noqa: ARG002 - the parent knows it
        weights: bytes,
        refinement: Mapping[str, Any],
    ) -> None:
        """Replace the derived weights by refined ones."""
        request = requests.PutRefined(identity=identity_id, refinement=dict(refinement))
        self._parent.ask(request, [weights])


class RemoteContext:
    """Implements `JobContext` by asking the parent."""

    def __init__(
        self,
        order: JobOrder,
        directories: requests.ChildOrder,
        parent: Parent,
        spent: Callable[[], Spent],
    ) -> None:
        self.job = order.job
        self.task = order.task
        self.work = directories.outward
        self.identities = RemoteIdentities(parent)
        self._inward = directories.inward
        self._input = order.input
        self.provenance = order.provenance
        self.is_screened = order.is_screened
        self._parent = parent
        self._spent = spent
        # So that the first report goes out at once.
        self._reported = -REPORT_EVERY_S

    @cached_property
    def marking(self) -> Marking | None:
        """Draws this task's mark."""
        # Imported late: this process must be confined before numpy starts its threads.
        from worker.provenance.marking import Marking

        return Marking.of(self.provenance) if self.provenance else None

    @property
    def input(self) -> Path:
        """The file the job works on; raises JobFailure `input_missing`."""
        if self._input is None:
            raise JobFailure(FailureCode.INPUT_MISSING, "The job has no input.")
        return self._inward / self._input

    def progress(
        self, done: int, total: int | None = None, unit: str = "frame", *, last: bool = False
    ) -> None:
        """Report, at most every 0.2 s unless it is the end; raises Canceled, Superseded."""
        now = time.monotonic()
        # A report is also how a cancellation is heard, so the wait bounds how late that is.
        if now - self._reported < REPORT_EVERY_S and not last and done != total:
            return

        self._parent.ask(requests.Progress(done=done, total=total, unit=unit))
        self._reported = now

    def fan_out(
        self,
        steps: Sequence[str],
        plan: str,
        total: int,
        unit: str = "frame",
        in_flight: int = 2,
        following: str = "mux",
    ) -> None:
        """Have the job done in parts; raises Canceled, Superseded."""
        self._parent.ask(
            requests.FanOut(
                steps=tuple(steps),
                plan=plan,
                total=total,
                unit=unit,
                in_flight=in_flight,
                following=following,
                spent=dict(self._spent()),
            )
        )

    def plan(self) -> tuple[str, Mapping[str, str]]:
        """Return the plan that was fanned out, and the parts' outcomes by step."""
        answer = self._parent.ask(requests.ReadPlan()).header
        return answer["plan"], answer["parts"]

    def publish_part(self, file: Path, suffix: str) -> str:
        """Keep a file as a part of the job."""
        request = requests.PublishPart(file=file.name, suffix=suffix)
        return str(self._parent.ask(request).header["sha256"])

    def part(self, sha256: str, suffix: str) -> Path:
        """Return a part that was published."""
        request = requests.FetchPart(sha256=sha256, suffix=suffix)
        return self._inward / str(self._parent.ask(request).header["file"])

    def sign(self, claim: bytes) -> bytes:
        """Return the installation's signature of a C2PA claim."""
        return self._parent.ask(requests.SignClaim(), [claim]).blobs[0]

    def time_stamp(self, message: bytes) -> bytes | None:
        """Return an authority's time-stamp of a message, None where there is none."""
        blobs = self._parent.ask(requests.TimeStamp(), [message]).blobs
        return blobs[0] if blobs else None

    def screen(self, sources: bytes, targets: bytes, width: int) -> tuple[str, str]:
        """Return the never-swap list's verdict on faces, and the review it asks for."""
        answer = self._parent.ask(requests.Screen(width=width), [sources, targets]).header
        return str(answer["verdict"]), str(answer["review"])

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome; raises Canceled, Superseded."""
        self._parent.ask(requests.FinishPart(outcome=outcome, spent=dict(self._spent())))
