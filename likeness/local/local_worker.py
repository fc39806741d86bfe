"""Carries out jobs without a server: one confined child of the worker, fed from this process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.local.attempt import LocalAttempt, LocalJob, Watch, sha256_of
from likeness.local.identity import TENANT, LocalIdentity
from likeness.local.target import Target
from models.packs.integrity import require_intact
from models.packs.store import load_pack
from worker.contract.jobs import JobRecord, JobResult, Progress, Task
from worker.contract.options import Assignment, FaceSelector, SwapOptions
from worker.contract.requests import QUEUE_OF, JobKind, JobPayload, QueueName
from worker.errors import WorkerError
from worker.job_context import Outcome, Performed
from worker.process.child_process import WarmChild
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.provenance.provenance_store import ProvenanceStore
from worker.settings import WorkerSettings
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.ids import new_id

DEADLINE_S = 24 * 3600.0  # recorded, and not enforced: whoever waits can interrupt


@dataclass(frozen=True)
class Finished:
    """What a job made: a file that is removed with the worker, and the job's report."""

    file: Path
    result: JobResult
    report: dict[str, Any]
    seconds: float


class LocalWorker:
    """A child with its models loaded, and private directories for the files of its jobs."""

    def __init__(
        self, child: WarmChild, staging: Staging, settings: WorkerSettings, parts: Path
    ) -> None:
        self._child = child
        self._staging = staging
        self._settings = settings
        self._parts = parts

    def swap(
        self,
        target: Target,
        identity: LocalIdentity,
        faces: Sequence[FaceSelector],
        options: SwapOptions,
        watch: Watch,
    ) -> Finished:
        """Return the swapped target: marked, signed and recorded as the service's results are.

        Raises JobFailure and WorkerError.
        """
        payload = JobPayload(
            kind=target.swap_kind,
            tenant=TENANT,
            # There is no upload; the contract wants an id, and the attempt brings the target in
            # itself.
            input_id=new_id("upl"),
            assignments=tuple(
                Assignment(face=face, identity_id=identity.record.id) for face in faces
            ),
            options=options,
            # As many bits as an invisible mark carries.
            mark_id=secrets.randbits(32) if self._settings.provenance == "on" else None,
        )
        return self._make(payload, target.path, identity, watch)

    def analyse(self, target: Target, watch: Watch) -> Finished:
        """Return the people in a target, as JSON; raises JobFailure and WorkerError."""
        payload = JobPayload(kind="analysis", tenant=TENANT, input_id=new_id("upl"))
        return self._make(payload, target.path, None, watch)

    def _make(
        self, payload: JobPayload, target: Path, identity: LocalIdentity | None, watch: Watch
    ) -> Finished:
        began = time.monotonic()
        records = ProvenanceStore(DirectoryBlobs(self._settings.media_dir))
        issuer = ProvenanceIssuer.open(self._settings, records) if identity else None
        job = LocalJob(_record(payload), target, identity, self._parts, watch)
        # Always attempt 1: what fails on this machine would fail again.
        performed = self._perform(job, Task(job.record.id, 1), issuer)

        # A long video fans out in its first attempt; everything else leaves no steps.
        while job.steps:
            step = job.steps.pop(0)
            performed = self._perform(job, Task(f"{job.record.id}-{step}", 1), issuer)

        outcome = performed.outcome
        if outcome is None or outcome.file is None:
            raise WorkerError("The job ended without a result.")

        result = _result(outcome, outcome.file)

        if issuer is not None and outcome.manifest is not None:
            # Before the result is handed out: a file that is out must be one we can recognise.
            receipts = [one.consent_receipt for one in job.identities() if one.consent_receipt]
            manifest = outcome.manifest.read_bytes()
            issuer.record(job.record, result, outcome, manifest, receipts)

        job.add_spent(performed.spent)
        report = {**outcome.report, "pack": performed.pack, "counters": job.spent}
        return Finished(outcome.file, result, report, time.monotonic() - began)

    def _perform(self, job: LocalJob, task: Task, issuer: ProvenanceIssuer | None) -> Performed:
        # What an earlier attempt left must not be found by this one.
        self._staging.clear()
        self._child.await_ready()
        return self._child.perform(LocalAttempt(job, task, self._staging, issuer))


@contextmanager
def local_worker(kind: JobKind, settings: WorkerSettings) -> Iterator[LocalWorker]:
    """Yield a worker for jobs of one kind; its child loads the models meanwhile.

    Raises PackError when the models are not installed or not intact.
    """
    # Checked here: a damaged model would only show as a child that dies without a reason.
    require_intact(load_pack(settings.pack, settings.packs_root))
    queue: QueueName = QUEUE_OF[kind]
    # Its directories are removed at the end, or by the next command if this one is killed.
    staging = Staging(settings.data_dir / "command")
    parts = staging.inward.parent / "parts"
    # Beside the child's directories and not in them: it is handed one part at a time.
    parts.mkdir(mode=0o700)
    child = WarmChild(queue, settings, staging)

    try:
        child.start()
        yield LocalWorker(child, staging, settings, parts)
    finally:
        child.stop()
        staging.close()


def _record(payload: JobPayload) -> JobRecord:
    now = time.time()
    return JobRecord(
        id=new_id("job"),
        tenant=payload.tenant,
        kind=payload.kind,
        status="running",
        priority="normal",
        payload=payload,
        attempt=1,
        progress=Progress(),
        created_at=now,
        deadline_at=now + DEADLINE_S,
        started_at=now,
        finished_at=None,
        expires_at=None,
        result=None,
        report={},
        timings={},
        error=None,
        metadata={},
        webhook=None,
        requeued_from=None,
        version=1,
    )


def _result(outcome: Outcome, file: Path) -> JobResult:
    return JobResult(
        sha256=sha256_of(file),
        bytes=file.stat().st_size,
        media_type=outcome.media_type,
        suffix=outcome.suffix,
        width=outcome.width,
        height=outcome.height,
        frames=outcome.frames,
    )
