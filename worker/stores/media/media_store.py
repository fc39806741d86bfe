"""Uploads and results: whose they are, when they go, and under what names their bytes lie.

uploads/<xx>/<upload id><suffix>      what users sent; recorded in the store with a TTL
partials/<upload id>/<part>           of what arrives in parts, until it is whole
jobs/<job id>/<sha256><suffix>        a job's result, by its content; parts/ holds segments
installation                          whose bytes these are; the record store has the same id

The bytes are in a directory or in a bucket (`worker.stores.blobs`). `scratch` is a directory of
this machine, or of the shared disk: `incoming/` holds uploads that are still being written.

Names and extensions are ours, never the user's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from redis import Redis

from worker.errors import StorageQuotaExceeded, StoreError, UnknownMedia, UploadInUse
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.durable_files import writing
from worker.stores.connection import reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.keys import CONTENT, TENANT_UPLOADS, UPLOAD, UPLOAD_JOBS
from worker.stores.listing import LOOKED_AT, newest_first, take_page
from worker.stores.media.installation import Installation
from worker.stores.media.partial_uploads import PartialUploads
from worker.stores.media.results import ResultStore
from worker.stores.media.storage_use import StorageUse
from worker.stores.media.uploads import MediaFacts, MediaRecord, UploadWriter, read_upload
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep

CLAIM_S = 900.0  # longer than a registration may wait for its turn and take


class MediaStore:
    """Uploads, from the first byte to the last; results, and whose media these are."""

    def __init__(
        self,
        blobs: Blobs,
        scratch: Path,
        redis: Redis,
        clock: Callable[[], float] = time.time,
        tenant_stored_bytes: int = JobLimits.tenant_stored_bytes,
    ) -> None:
        """Keep bytes in `blobs`; uploads are written in `scratch` before they are put there."""
        self.blobs = blobs
        self.scratch = scratch
        self.incoming = scratch / "incoming"
        self.redis = redis
        self.clock = clock
        self._scripts = Scripts(redis)
        self._upkeep = Upkeep(redis, clock)
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.installation = Installation(blobs, self.incoming, redis)
        self.results = ResultStore(blobs, self.installation, redis, clock)
        self.storage = StorageUse(redis, tenant_stored_bytes)
        self.partials = PartialUploads(blobs, redis, self.storage, clock)

    def tidy(self, age_s: float) -> int:
        """Remove uploads that were begun in this scratch directory so long ago, and copies.

        Returns how many there were.
        """
        self.blobs.tidy()
        gone = 0
        for entry in os.scandir(self.incoming):
            with suppress(FileNotFoundError):
                if self.clock() - entry.stat(follow_symlinks=False).st_mtime > age_s:
                    os.unlink(entry)
                    gone += 1

        return gone

    def begin_write(self, tenant: str, upload_id: str | None = None) -> UploadWriter:
        """Begin an upload of this tenant, under a new id unless it has one; raises DiskFull."""
        with writing():
            place = self.incoming / (upload_id or new_id("upl"))
            return UploadWriter(place, tenant, self.adopt)

    def adopt(
        self, path: Path, tenant: str, sha256: str, facts: MediaFacts, ttl_s: float
    ) -> MediaRecord:
        """Give a complete file in `incoming/` its name and its record.

        Record first, so that no file lacks an owner.
        """
        now = self.clock()
        with writing():
            size = path.stat().st_size

        record = MediaRecord(
            id=path.name,
            tenant=tenant,
            sha256=sha256,
            bytes=size,
            created_at=now,
            expires_at=now + ttl_s,
            facts=facts,
        )
        self._save(record)
        try:
            self.blobs.put(path, self.name(record))
        except StoreError:
            # Its bytes would count against the tenant's quota until it expires.
            self._scripts.run("drop_upload", {"upload": record.id})
            raise

        return record

    def stat(self, media_id: str, tenant: str | None = None) -> MediaRecord:
        """Return an upload's record; raises UnknownMedia, also when it is another tenant's."""
        if not is_id(media_id, "upl"):
            raise UnknownMedia
        with reaching():
            fields = text_fields(self.redis.hgetall(UPLOAD(media_id)))

        # Another tenant's upload reads as an unknown one: ids must not be probed.
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownMedia

        return read_upload(fields)

    def list(
        self, tenant: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[Sequence[MediaRecord], str | None]:
        """Return the tenant's uploads, newest first, and the cursor of the next page."""
        rows = (
            (upload_id, self._stat_if_there(upload_id, tenant))
            for ids in newest_first(self.redis, TENANT_UPLOADS(tenant), cursor)
            for upload_id in ids
        )
        return take_page(rows, limit, LOOKED_AT)

    def _stat_if_there(self, upload_id: str, tenant: str) -> MediaRecord | None:
        try:
            return self.stat(upload_id, tenant)
        except UnknownMedia:
            return None  # it expired between the two reads

    def bring(self, record: MediaRecord, place: Path) -> None:
        """Make an upload's bytes a plain file; raises UnknownMedia when they are gone."""
        with self.installation.reading():
            self.blobs.bring(self.name(record), place)

    def open(self, media_id: str, tenant: str) -> BinaryIO:
        """Open an upload, as a file whose descriptor can be passed on; raises UnknownMedia."""
        with self.installation.reading():
            return self.blobs.open_file(self.name(self.stat(media_id, tenant)))

    def same_content(self, tenant: str, sha256: str) -> Sequence[str]:
        """Return the tenant's uploads that have these bytes."""
        with reaching():
            return sorted(texts(self.redis.smembers(CONTENT(tenant, sha256))))

    def jobs_with(self, media_id: str) -> Sequence[str]:
        """Return the jobs that have used an upload and were not deleted."""
        with reaching():
            return sorted(texts(self.redis.smembers(UPLOAD_JOBS(media_id))))

    def claim(
        self, media_id: str, tenant: str | None = None, for_s: float = CLAIM_S, unused: bool = False
    ) -> None:
        """Reserve an upload that is about to be deleted: no job is admitted with it any more.

        It is deleted after `for_s` seconds in any case, unless it is released before. With
        `unused`, an upload that any job has used is refused too.

        Raises:
            UnknownMedia, UploadInUse
        """
        now = self.clock()
        upload = {"upload": media_id, "tenant": tenant, "unused": unused}
        arguments = {**upload, "now": now, "until": now + for_s}

        outcome = self._scripts.run("claim_upload", arguments)
        if outcome == b"unknown":
            raise UnknownMedia
        if outcome == b"in_use":
            raise UploadInUse

    def release(self, record: MediaRecord) -> None:
        """Undo a claim."""
        # In one transaction: a claim undone by half would still end with the upload's deletion.
        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hdel(UPLOAD(record.id), "claimed_until")
            self._upkeep.reschedule(record.id, record.expires_at, pipeline)
            pipeline.execute()

    def delete_when_free(self, media_id: str) -> None:
        """Have an upload deleted as soon as no job in flight needs it.

        The results of those jobs expire when they end.
        """
        self._scripts.run("doom_upload", {"upload": media_id, "now": repr(self.clock())})

    def delete(self, media_id: str) -> None:
        """Remove an upload: its bytes, then its record."""
        # After a crash in between the sweep finds the record, and deletes again.
        with suppress(UnknownMedia):
            self.blobs.delete(self.name(self.stat(media_id)))

        self._scripts.run("drop_upload", {"upload": media_id})

    def delete_unless_held(self, media_id: str, unused: bool = False) -> bool:
        """Remove an upload that no job in flight needs; False when one does.

        With `unused`, one that any job has used stays as well.
        """
        # Claimed first, so that no job is admitted with it while it is being deleted.
        try:
            self.claim(media_id, unused=unused)
        except UploadInUse:
            return False
        except UnknownMedia:
            return True

        self.delete(media_id)
        return True

    def _save(self, record: MediaRecord) -> None:
        arguments = {
            "upload": record.id,
            "tenant": record.tenant,
            "record": record.to_json(),
            "sha256": record.sha256,
            "bytes": record.bytes,
            "expires_at": record.expires_at,
            "max_stored_bytes": self.storage.tenant_bound,
        }
        if self._scripts.run("keep_upload", arguments) != b"kept":
            raise StorageQuotaExceeded

    def is_recorded(self, media_id: str) -> bool:
        """Return whether an upload has a record."""
        with reaching():
            return bool(self.redis.exists(UPLOAD(media_id)))

    def name(self, record: MediaRecord) -> str:
        """Return under what name an upload's bytes lie."""
        return f"uploads/{record.id[-2:]}/{record.id}{record.facts.suffix}"
