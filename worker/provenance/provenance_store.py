"""What was marked and signed here, kept longer than the results themselves.

provenance/<xx>/<mark id>.json   a record; provenance/<xx>/<mark id>.c2pa its manifest
provenance/by-hash/<xx>/<sha256>  holds the mark id of the result with these bytes

Records name no person and no file; they outlive an erasure on purpose (docs/trust.md).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from worker.stores.blobs.durable_files import noticing_full_disk, replace_file

DAY_S = 86_400


@dataclass(frozen=True)
class ProvenanceRecord:
    """One output. `hashes` are 64-bit fingerprints, `manifest_sha256` is "" without a manifest."""

    mark_id: str
    job: str
    tenant: str
    made_at: float
    kind: Literal["image", "video", "export"]
    sha256: str
    hashes: tuple[int, ...] = ()
    manifest_sha256: str = ""
    consent_receipts: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """The day it was made, which is all that the public sees of the time."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.made_at))


class ProvenanceStore:
    """Records in files: they are many, rarely read, and must outlive the job store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, record: ProvenanceRecord, manifest: bytes = b"") -> None:
        """Keep a record and its manifest; a second attempt at the same output replaces both.

        Raises DiskFull.
        """
        with noticing_full_disk():
            # The manifest first: a record must not promise one that is not there.
            if manifest:
                _write(self._file(record.mark_id, ".c2pa"), manifest)

            _write(self._file(record.mark_id, ".json"), json.dumps(asdict(record)).encode())
            _write(self._by_hash(record.sha256), record.mark_id.encode())

    def get(self, mark_id: str) -> ProvenanceRecord | None:
        """Return the record of a mark id (eight hex digits)."""
        try:
            fields = json.loads(self._file(mark_id, ".json").read_bytes())
        except FileNotFoundError:
            return None

        fields["hashes"] = tuple(fields["hashes"])
        fields["consent_receipts"] = tuple(fields["consent_receipts"])
        return ProvenanceRecord(**fields)

    def find(self, sha256: str) -> ProvenanceRecord | None:
        """Return the record of the result with exactly these bytes."""
        try:
            return self.get(self._by_hash(sha256).read_text())
        except FileNotFoundError:
            return None

    def manifest(self, mark_id: str) -> bytes | None:
        """Return the signed manifest of an output, so that a stripped copy can have it back."""
        try:
            return self._file(mark_id, ".c2pa").read_bytes()
        except FileNotFoundError:
            return None

    def expire(self, keep_days: int, now: float | None = None) -> int:
        """Delete records older than `keep_days`; return how many there were."""
        before = (now or time.time()) - keep_days * DAY_S
        expired = 0

        for path in self._directory.glob("[0-9a-f][0-9a-f]/*.json"):
            # By the file's time: reading each record would take hours at millions.
            if path.stat().st_mtime >= before:
                continue

            record = self.get(path.stem)
            # The by-hash entry last: without its record it leads nowhere, and is harmless.
            for file in (path, path.with_suffix(".c2pa")):
                file.unlink(missing_ok=True)

            if record is not None:
                self._by_hash(record.sha256).unlink(missing_ok=True)

            expired += 1

        return expired

    def _file(self, mark_id: str, suffix: str) -> Path:
        # Becomes a path: nothing else may.
        if len(mark_id) != 8 or not set(mark_id) <= set("0123456789abcdef"):
            raise ValueError("a mark id has eight hex digits")
        return self._directory / mark_id[:2] / f"{mark_id}{suffix}"

    def _by_hash(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError("a SHA-256 has 64 hex digits")
        return self._directory / "by-hash" / sha256[:2] / sha256


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, content)
