"""Uploads that arrive in parts: how far each is, and where its parts lie until it is whole.

partials/<upload id>/<part>      bytes in the order of the list of parts

Parts lie where all media lie, so that each may come to another host. A part counts as stored from
the moment it is added; an upload that is never finished expires like a whole one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from redis import Redis

from worker.errors import (
    QuotaExceeded,
    StorageQuotaExceeded,
    UnknownMedia,
    UploadInUse,
    WorkerError,
)
from worker.stores.blobs.blobs import Blobs
from worker.stores.connection import reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.keys import PARTIAL, PARTIAL_PARTS
from worker.stores.media.storage_use import StorageUse
from worker.stores.scripts import Scripts

# A client that goes away comes back within a day, or begins anew.
TTL_S: Final = 24 * 3600.0
# Of one tenant: a phone sends a few at a time, and each holds a key and may hold bytes.
MAX_PARTIALS: Final = 64
# Of one upload: a gigabyte in parts of 512 KB. A part costs a file, or an object.
MAX_PARTS: Final = 2048
# Putting a gigabyte together and inspecting it takes seconds; a process may die in between.
CLAIM_S: Final = 300.0
READ_BYTES: Final = 1 << 20
FOLDER: Final = "partials"
OBJECT: Final = "object"  # what a client has put into the bucket itself


class PartElsewhere(WorkerError):
    """A part was sent for another place than the upload's end, which `offset` tells."""

    code = "upload_offset"
    message = "The part does not begin where the upload ends."

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload ends at byte {offset}; send what comes after that.")
        self.offset = offset


@dataclass(frozen=True)
class Partial:
    """An unfinished upload: `offset` of `length` bytes are there."""

    id: str
    tenant: str
    length: int
    offset: int
    expires_at: float


class PartialUploads:
    """Begins, continues and ends uploads in parts; its methods are called from threads."""

    def __init__(
        self,
        blobs: Blobs,
        redis: Redis,
        storage: StorageUse,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep parts in `blobs` and records in `redis`; `storage` has the tenants' bounds."""
        self._blobs = blobs
        self._redis = redis
        self._scripts = Scripts(redis)
        self._storage = storage
        self._clock = clock

    def begin(self, tenant: str, length: int, ttl_s: float = TTL_S) -> Partial:
        """Begin an upload of `length` bytes; raises QuotaExceeded, StorageQuotaExceeded."""
        made = Partial(
            id=new_id("upl"),
            tenant=tenant,
            length=length,
            offset=0,
            expires_at=self._clock() + ttl_s,
        )
        arguments = {
            "upload": made.id,
            "tenant": tenant,
            "length": length,
            "expires_at": made.expires_at,
            "max_partials": MAX_PARTIALS,
            "max_stored_bytes": self._storage.tenant_bound,
        }
        outcome = self._scripts.run("begin_partial", arguments)
        if outcome == b"too_many":
            raise QuotaExceeded(f"There are {MAX_PARTIALS} unfinished uploads; end some first.")
        if outcome == b"storage_quota":
            raise StorageQuotaExceeded

        return made

    def get(self, upload_id: str, tenant: str | None = None) -> Partial:
        """Return an unfinished upload; raises UnknownMedia, also when it is another tenant's."""
        if not is_id(upload_id, "upl"):
            raise UnknownMedia
        with reaching():
            fields = text_fields(self._redis.hgetall(PARTIAL(upload_id)))
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownMedia

        return Partial(
            id=upload_id,
            tenant=fields["tenant"],
            length=int(fields["length"]),
            offset=int(fields["offset"]),
            expires_at=float(fields["expires_at"]),
        )

    def append(self, partial: Partial, part: Path, size: int) -> Partial:
        """Add a file's bytes at the upload's end; the file is gone afterwards.

        Raises:
            PartElsewhere: meanwhile the upload ends somewhere else. UnknownMedia: it has expired.
            QuotaExceeded: it has too many parts. StorageQuotaExceeded, DiskFull, MediaUnavailable
        """
        # A name of its own: of two requests with the same part one is added, and one removed.
        name = f"{FOLDER}/{partial.id}/{partial.offset:016d}-{secrets.token_hex(8)}"
        self._blobs.put(part, name)
        expires_at = self._clock() + TTL_S
        arguments = {
            "upload": partial.id,
            "offset": partial.offset,
            "bytes": size,
            "name": name,
            "expires_at": expires_at,
            "max_parts": MAX_PARTS,
            "max_stored_bytes": self._storage.tenant_bound,
        }

        try:
            outcome, offset = self._scripts.run_durably("append_partial", arguments)
            if outcome != b"appended":
                raise _refusal(outcome, int(offset))
        except BaseException:
            self._blobs.delete(name)
            raise

        return replace(partial, offset=int(offset), expires_at=expires_at)

    def claim(self, partial: Partial) -> None:
        """Take a complete upload to be put together; raises UploadInUse, UnknownMedia."""
        arguments = {"upload": partial.id, "now": self._clock(), "for_s": CLAIM_S}
        outcome = self._scripts.run("claim_partial", arguments)
        if outcome == b"busy":
            raise UploadInUse("Another request is putting this upload together.")
        if outcome == b"unknown":
            raise UnknownMedia

    def release(self, partial: Partial) -> None:
        """Undo a claim."""
        self._scripts.run("release_partial", {"upload": partial.id})

    def content(self, partial: Partial) -> Iterator[bytes]:
        """Yield the bytes of all parts; raises UnknownMedia when one is gone."""
        with reaching():
            names = texts(self._redis.lrange(PARTIAL_PARTS(partial.id), 0, -1))
        for name in names:
            yield from self._read(name)

    def put_url(self, partial: Partial, for_s: float) -> str | None:
        """Return a URL to which a client may PUT the whole, or None where there is no bucket."""
        return self._blobs.put_url(_object(partial.id), for_s)

    def put_content(self, partial: Partial) -> Iterator[bytes]:
        """Yield the bytes that a client has PUT; raises UnknownMedia when there are none."""
        yield from self._read(_object(partial.id))

    def drop(self, upload_id: str, is_whole: bool = False) -> None:
        """Remove an upload's parts and what is known of it.

        What `is_whole` goes on under the same id, with its own time.
        """
        self._blobs.delete_all(f"{FOLDER}/{upload_id}")
        self._scripts.run("drop_partial", {"upload": upload_id, "expires": not is_whole})

    def exists(self, upload_id: str) -> bool:
        """Return whether an upload is unfinished."""
        with reaching():
            return bool(self._redis.exists(PARTIAL(upload_id)))

    def sweep(self, age_s: float) -> int:
        """Remove parts that no upload has, left by a crash; return how many there were."""
        gone = 0
        for name in self._blobs.older(FOLDER, age_s):
            if not self.exists(name.split("/")[1]):
                self._blobs.delete(name)
                gone += 1

        return gone

    def _read(self, name: str) -> Iterator[bytes]:
        try:
            file = self._blobs.open(name)
        except FileNotFoundError as error:
            raise UnknownMedia from error

        with file:
            while chunk := file.read(READ_BYTES):
                yield chunk


def _object(upload_id: str) -> str:
    return f"{FOLDER}/{upload_id}/{OBJECT}"


def _refusal(outcome: bytes, offset: int) -> Exception:
    if outcome == b"unknown":
        return UnknownMedia()
    if outcome == b"storage_quota":
        return StorageQuotaExceeded()
    if outcome == b"too_many_parts":
        return QuotaExceeded(f"An upload may have {MAX_PARTS} parts; send larger ones.")
    return PartElsewhere(offset)
