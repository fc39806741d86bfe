"""One attempt at a task on the real stores: the parent's side of what a use case sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from worker.blocklist.records import as_face
from worker.blocklist.screening import ALLOWED, Case, Decision, Place, Screening
from worker.composition import Stores
from worker.contract.jobs import Task
from worker.errors import (
    JobFailure,
    Missing,
    SigningFailed,
    UnknownMedia,
)
from worker.failures import FailureCode
from worker.job_context import Spent
from worker.process.attempts.attempt_thread import ProgressReports
from worker.process.attempts.job_identities import JobIdentities
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.provenance.marking import Marking
from worker.stores.jobs.job_attempts import Begun

# The structure that is stamped has a certificate chain in it: some 2 KB, more with an operator's.
MAX_STAMPED_BYTES = 64 << 10


class Attempt:
    """Implements `JobContext` on the stores, with the job's files in a staging directory.

    The process that performs the attempt sets `spent`: what the engine has done for it so far.
    """

    def __init__(
        self,
        begun: Begun,
        task: Task,
        staging: Staging,
        stores: Stores,
        issuer: ProvenanceIssuer | None = None,
        screening: Screening | None = None,
    ) -> None:
        self.job = begun.job
        self.task = task
        self.work = staging.outward
        payload = begun.job.payload
        self.identities = JobIdentities(stores.identities, payload, begun.identities)
        self.spent: Callable[[], Spent] = dict
        # Made before the child sees a byte of the input, so that nothing in it can change the mark.
        self.provenance = issuer.order(self.job, task, self.identities.records) if issuer else None
        self.marking = Marking.of(self.provenance) if self.provenance else None
        self.is_screened = screening is not None and screening.is_needed(begun.list_version)
        self._upload = begun.upload
        self._issuer = issuer
        self._has_asked_for_time = False
        self._screening = screening
        self._staging = staging
        self._media = stores.media
        self._attempts = stores.attempts
        self._reports = ProgressReports(partial(stores.attempts.progress, task))

    @property
    def input(self) -> Path:
        """The file the job works on; raises JobFailure `input_missing`."""
        record = self._upload
        # With the tenant: a record that was tampered with must not reach another tenant's upload.
        if record is None or record.tenant != self.job.tenant:
            raise JobFailure(FailureCode.INPUT_MISSING, "The job's input is gone.")
        try:
            return self._staging.bring_in(
                f"{record.id}{record.facts.suffix}", lambda place: self._media.bring(record, place)
            )
        except Missing as error:
            raise JobFailure(FailureCode.INPUT_MISSING, "The job's input is gone.") from error

    def progress(
        self,
        done: int,
        total: int | None = None,
        unit: str = "frame",
        *,
        last: bool = False,  # noqa: ARG002 - matters to the child, which rations its reports
    ) -> None:
        """Begin to note how far the attempt is; raises Canceled, Superseded.

        The attempt goes on meanwhile, so a cancellation is heard one report later.
        """
        self._reports.report(done, total, unit)

    def fan_out(
        self,
        steps: Sequence[str],
        plan: str,
        total: int,
        unit: str = "frame",
        in_flight: int = 2,
        following: str = "mux",
    ) -> None:
        """Replace this task by one per step, and `following`; raises Canceled, Superseded."""
        self._reports.wait()
        self._attempts.fan_out(
            self.task,
            steps,
            plan,
            total,
            unit,
            in_flight,
            spent=self.spent(),
            following=following,
        )

    def plan(self) -> tuple[str, Mapping[str, str]]:
        """Return the plan that was fanned out, and the parts' outcomes by step."""
        return self._attempts.plan(self.job.id)

    def publish_part(self, file: Path, suffix: str) -> str:
        """Keep a file as a part of the job; raises UnknownMedia, DiskFull."""
        # By its name only: the child's idea of the directory is not believed.
        made = self._staging.take_out(file.name)
        return self._media.results.publish(self.job.id, made, suffix, part=True)

    def part(self, sha256: str, suffix: str) -> Path:
        """Bring a published part in; raises UnknownMedia."""
        return self._staging.bring_in(
            f"{sha256}{suffix}",
            lambda place: self._media.results.bring_part(self.job.id, sha256, suffix, place),
        )

    def finish_part(self, outcome: str) -> None:
        """Record this part's outcome; raises Canceled, Superseded."""
        # Behind its last report: what comes after a part's end is not counted.
        self._reports.wait()
        self._attempts.finish_part(self.task, outcome, self.spent())

    def sign(self, claim: bytes) -> bytes:
        """Return the signature of a claim; raises SigningFailed."""
        if self._issuer is None:
            raise SigningFailed("Results are not signed here.")
        return self._issuer.sign(claim)

    def time_stamp(self, message: bytes) -> bytes | None:
        """Return an authority's time-stamp of a message, None where there is none.

        Once an attempt: a compromised child must not use us to flood the authority.
        """
        if self._issuer is None or self._has_asked_for_time or len(message) > MAX_STAMPED_BYTES:
            return None

        self._has_asked_for_time = True
        return self._issuer.time_stamp(message)

    def screen(self, sources: bytes, targets: bytes, width: int) -> tuple[str, str]:
        """Compare faces with the never-swap list; raises Missing, StoreError."""
        decision = self._decide("source", _cut(sources, width))
        if decision == ALLOWED:
            decision = self._decide("target", _cut(targets, width))

        return decision.verdict, decision.review_id

    def _decide(self, place: Place, faces: Sequence[bytes]) -> Decision:
        if self._screening is None or not faces:
            return ALLOWED

        if self._upload is None:
            raise UnknownMedia
        case = Case(
            tenant=self.job.tenant,
            actor="worker",
            place=place,
            content=self._upload.sha256,
            pack=self.identities.pack(),
            subject=self.job.id,
        )
        return self._screening.decide(case, [as_face(face) for face in faces])

    def result(self, file: Path) -> Path:
        """Return the file of the outcome; raises UnknownMedia."""
        return self._staging.take_out(file.name)


def _cut(blob: bytes, width: int) -> list[bytes]:
    """Return the embeddings in a blob; what is left at its end is no embedding."""
    return [blob[start : start + width] for start in range(0, len(blob), width)]
