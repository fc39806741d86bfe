"""The parent's side of provenance: orders for the child, signatures, and records."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from worker.contract.jobs import JobRecord, JobResult, Task
from worker.errors import SigningFailed
from worker.job_context import Outcome
from worker.provenance.certificates import Signer
from worker.provenance.mark_code import MarkCode
from worker.provenance.marking import tile_in_hex
from worker.provenance.names import mark_name
from worker.provenance.order import ProvenanceOrder
from worker.provenance.provenance_store import ProvenanceRecord, ProvenanceStore
from worker.provenance.time_stamps.authority import TimeStampAuthority
from worker.provenance.trust_store import TrustStore
from worker.settings import WorkerSettings
from worker.stores.audit_log import entry_body
from worker.stores.identities.identity_records import IdentityRecord

# Analyses and estimates show nothing new, and refinements have no output.
MARKED_KINDS = frozenset({"swap_image", "swap_video", "preview", "export"})
# A claim's bytes to be signed are about 2 KB; a compromised child could ask for more.
MAX_CLAIM_BYTES = 64 << 10


@dataclass(frozen=True)
class ProvenanceIssuer:
    """Holds the keys, which no child ever sees."""

    trust: TrustStore
    public_sync: bool
    signer: Signer
    records: ProvenanceStore
    strength: int
    verify_url: str
    allow_training: bool
    authority: TimeStampAuthority | None = None

    @classmethod
    def open(
        cls,
        settings: WorkerSettings,
        records: ProvenanceStore,
    ) -> ProvenanceIssuer | None:
        """Return the installation's issuer, or None where an operator has turned it off.

        Raises TrustKeyBroken, SigningFailed for an operator's certificate that cannot sign.
        """
        if settings.provenance == "off":
            return None

        trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
        # Idempotent: the API or another worker may have made the keys already.
        trust.prepare()
        trust.mark_keys.newest_first()  # broken keys are reported at start, not by the first job
        signer = trust.signer()

        if settings.c2pa_chain is not None:
            _try_out(signer)

        return cls(
            trust=trust,
            public_sync=settings.mark_sync == "public",
            signer=signer,
            records=records,
            strength=settings.mark_strength,
            verify_url=f"{settings.public_url}/verify" if settings.public_url else "",
            allow_training=settings.allow_training == "on",
            authority=TimeStampAuthority(settings.tsa_url) if settings.tsa_url else None,
        )

    def order(
        self, job: JobRecord, task: Task, identities: Callable[[], Sequence[IdentityRecord]]
    ) -> ProvenanceOrder | None:
        """Return what the child needs for a task; None for jobs whose results are not marked.

        Raises what asking for the job's `identities` does.
        """
        mark_id = job.payload.mark_id
        if mark_id is None or job.kind not in MARKED_KINDS:
            return None

        # By the job's own time: a key that is rotated meanwhile must not change its later segments.
        code = MarkCode(self.trust.mark_keys.at(job.created_at), public_sync=self.public_sync)
        tile = code.tile(mark_id, _segment(task))
        return ProvenanceOrder(
            version=installed_version(),
            # Public: the child embeds it, and never sees the key.
            chain=self.signer.chain,
            key_id=self.signer.key_id,
            mark_id=mark_id,
            tile=tile_in_hex(tile),
            shift=tile.shift,
            strength=self.strength,
            # Identities registered without a consent have none.
            consent_receipts=tuple(
                record.consent_receipt for record in identities() if record.consent_receipt
            ),
            verify_url=self.verify_url,
            allow_training=self.allow_training,
            is_stamped=self.authority is not None,
        )

    def sign(self, claim: bytes) -> bytes:
        """Return the signature of a claim; raises SigningFailed for what cannot be one."""
        if len(claim) > MAX_CLAIM_BYTES:
            raise SigningFailed("A claim is not that long.")
        return self.signer.sign(claim)

    def time_stamp(self, message: bytes) -> bytes | None:
        """Return the authority's token of a message; None without one, or when it is away."""
        return None if self.authority is None else self.authority.token(message)

    def record(
        self,
        job: JobRecord,
        result: JobResult,
        outcome: Outcome,
        manifest: bytes,
        consent_receipts: Sequence[str],
    ) -> None:
        """Keep what was made, before it can be fetched; raises DiskFull."""
        if job.payload.mark_id is None:
            return

        record = ProvenanceRecord(
            mark_id=mark_name(job.payload.mark_id),
            job=job.id,
            tenant=job.tenant,
            # Not now: a second attempt at the same output must record the same.
            made_at=job.created_at,
            kind=_kind_of(result),
            sha256=result.sha256,
            hashes=tuple(outcome.hashes),
            manifest_sha256=hashlib.sha256(manifest).hexdigest() if manifest else "",
            consent_receipts=tuple(consent_receipts),
        )
        self.records.put(record, manifest)

    def audit_entry(self, job: JobRecord, result: JobResult, embedded: bool) -> str:
        """Return the audit trail's entry about an output, to be written with its commit."""
        return entry_body(
            time.time(),
            "output.marked",
            job.tenant,
            "worker",
            job.id,
            sha256=result.sha256,
            mark_id=mark_name(job.payload.mark_id or 0),
            c2pa="embedded" if embedded else "detached",
            key_id=self.signer.key_id,
            identities=",".join(sorted(job.payload.identities())),
        )


@cache
def installed_version() -> str:
    """Return the program's version, "0" in a checkout that is not installed."""
    # Read once: looking it up takes .8 ms of each job.
    try:
        return version("likeness")
    except PackageNotFoundError:
        return "0"


def _try_out(signer: Signer) -> None:
    """Sign an image of one pixel: a certificate that cannot sign is reported at start."""
    # Imported late: only a parent with an operator's certificate needs it.
    from worker.provenance.manifest import try_out

    try_out(signer.chain, signer.sign)


def _segment(task: Task) -> int:
    """Return the segment that a task makes: 0 for a whole job."""
    step = task.step or ""
    return int(step[1:]) if step[1:].isdigit() else 0


def _kind_of(result: JobResult) -> Literal["image", "video", "export"]:
    if result.media_type == "application/zip":
        return "export"
    return "image" if result.media_type.startswith("image/") else "video"
