"""An upload on its way in: what is known of it, and the file that it is written to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from worker.stores.blobs.durable_files import open_private, writing


@dataclass(frozen=True)
class MediaFacts:
    """What was found in the file; sizes in pixels of the upright image."""

    media_type: str
    suffix: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class MediaRecord:
    """An upload; times are seconds since the epoch."""

    id: str
    tenant: str
    sha256: str
    bytes: int
    created_at: float
    expires_at: float
    facts: MediaFacts

    def to_json(self) -> str:
        """Return the record as the store keeps it; `read_upload` reads it."""
        return json.dumps(asdict(self))


def read_upload(fields: Mapping[str, str]) -> MediaRecord:
    """Return the record in an upload's hash."""
    body = json.loads(fields["record"])
    return MediaRecord(**{**body, "facts": MediaFacts(**body["facts"])})


class Adopt(Protocol):
    """Takes a complete file into the media store."""

    def __call__(
        self, path: Path, tenant: str, sha256: str, facts: MediaFacts, ttl_s: float
    ) -> MediaRecord:
        """Return the upload's record."""


class UploadWriter:
    """An upload on its way in: write, look into `path`, then commit or abort."""

    def __init__(self, path: Path, tenant: str, adopt: Adopt) -> None:
        self.path = path
        self.bytes = 0
        self._tenant = tenant
        self._adopt = adopt
        # While it is written: reading a large file again would double the disk's work.
        self._digest = hashlib.sha256()
        self._file = open_private(path)

    def write(self, chunk: bytes) -> None:
        """Append; raises DiskFull."""
        with writing():
            self._file.write(chunk)

        self._digest.update(chunk)
        self.bytes += len(chunk)

    def flush(self) -> None:
        """Make what was written readable at `path`; raises DiskFull."""
        with writing():
            self._file.flush()

    @property
    def sha256(self) -> str:
        """The hash of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Put what was written onto the disk; raises DiskFull."""
        with writing(), self._file:
            self._file.flush()
            # What is recorded is durable, so the file has to be.
            os.fsync(self._file.fileno())

    def commit(self, facts: MediaFacts, ttl_s: float) -> MediaRecord:
        """Keep the upload for `ttl_s` seconds.

        Raises:
            DiskFull, StorageQuotaExceeded, StoreUnavailable, StoreFull: nothing is kept.
        """
        try:
            self.close()
            return self._adopt(self.path, self._tenant, self.sha256, facts, ttl_s)
        # Also a cancelled request: half an upload must not stay.
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Leave nothing behind; harmless after a commit."""
        with suppress(OSError):  # what was not written yet may fail again
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
