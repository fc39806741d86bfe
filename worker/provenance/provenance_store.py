"""What was marked and signed here, kept longer than the results themselves.

provenance/<xx>/<mark id>.json   a record; provenance/<xx>/<mark id>.c2pa its manifest
provenance/by-hash/<xx>/<sha256>  holds the mark id of the result with these bytes

Records name no person and no file; they outlive an erasure on purpose (docs/trust.md).
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Literal

from worker.stores.blobs.blobs import Blobs, Name

DAY_S = 86_400
WRITERS = 2  # what is written before a record: its entry and its manifest
FOLDER = "provenance"  # of the media store, beside uploads, jobs and identities


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
    """Records beside the media, which every host reaches: they are many, rarely read, and must
    outlive the job store.

    All of it raises MediaUnavailable where the media are out of reach.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        # Kept: to start threads takes as long as to write.
        self._together = ThreadPoolExecutor(WRITERS, "provenance")

    def put(self, record: ProvenanceRecord, manifest: bytes = b"") -> None:
        """Keep a record and its manifest; a second attempt at the same output replaces both.

        Raises DiskFull.
        """
        before = {_by_hash(record.sha256): record.mark_id.encode()}
        if manifest:
            before[_name(record.mark_id, ".c2pa")] = manifest

        # Before the record, which must not promise a manifest that is not there; an entry that
        # leads nowhere is harmless. At once, because each waits for the disk, or for a bucket.
        list(self._together.map(self._blobs.write, before.keys(), before.values()))

        self._blobs.write(_name(record.mark_id, ".json"), json.dumps(asdict(record)).encode())

    def get(self, mark_id: str) -> ProvenanceRecord | None:
        """Return the record of a mark id (eight hex digits)."""
        found = self._read(_name(mark_id, ".json"))
        if found is None:
            return None

        fields = json.loads(found)
        fields["hashes"] = tuple(fields["hashes"])
        fields["consent_receipts"] = tuple(fields["consent_receipts"])
        return ProvenanceRecord(**fields)

    def find(self, sha256: str) -> ProvenanceRecord | None:
        """Return the record of the result with exactly these bytes."""
        mark_id = self._read(_by_hash(sha256))
        return None if mark_id is None else self.get(mark_id.decode())

    def manifest(self, mark_id: str) -> bytes | None:
        """Return the signed manifest of an output, so that a stripped copy can have it back."""
        return self._read(_name(mark_id, ".c2pa"))

    def expire(self, keep_days: int) -> int:
        """Delete records older than `keep_days`; return how many there were."""
        expired = 0
        for first in range(256):
            # By the file's time: reading each record would take hours at millions.
            for name in self._blobs.older(f"{FOLDER}/{first:02x}", keep_days * DAY_S):
                expired += self._drop(name)

        return expired

    def _drop(self, name: Name) -> bool:
        """Remove a file of a record; return whether it was the record itself."""
        record = self.get(PurePosixPath(name).stem) if name.endswith(".json") else None
        self._blobs.delete(name)

        if record is None:
            return False
        # Last: without its record the entry leads nowhere, and is harmless.
        self._blobs.delete(_by_hash(record.sha256))
        return True

    def _read(self, name: Name) -> bytes | None:
        try:
            return self._blobs.read(name)
        except FileNotFoundError:
            return None


def _name(mark_id: str, suffix: str) -> Name:
    # Comes from outside and becomes a path: nothing else may.
    if len(mark_id) != 8 or not set(mark_id) <= set("0123456789abcdef"):
        raise ValueError("a mark id has eight hex digits")
    return f"{FOLDER}/{mark_id[:2]}/{mark_id}{suffix}"


def _by_hash(sha256: str) -> Name:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("a SHA-256 has 64 hex digits")
    return f"{FOLDER}/by-hash/{sha256[:2]}/{sha256}"
