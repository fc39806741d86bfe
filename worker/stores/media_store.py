"""Uploads and results: whose they are, when they go, and under what names their bytes lie.

uploads/<xx>/<upload id><suffix>      what users sent; recorded in the store with a TTL
jobs/<job id>/<sha256><suffix>        a job's result, by its content; parts/ holds segments
installation                          whose bytes these are; the record store has the same id

The bytes are in a directory or in a bucket (`worker.stores.blobs`). `scratch` is a directory of
this machine, or of the shared disk: `incoming/` holds uploads that are still being written.

Names and extensions are ours, never the user's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, cast

from redis import Redis

from worker.contract import JobRecord, JobResult
from worker.errors import (
    JobNotFinal,
    MediaUnavailable,
    MediaUnsuitable,
    ResultExpired,
    StorageQuotaExceeded,
    StoreError,
    UnknownMedia,
    UploadInUse,
)
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.durable_files import seal, writing
from worker.stores.connection import Reply, reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.key_store import TenantStore
from worker.stores.keys import (
    CONTENT,
    INSTALLATION,
    STORED,
    TENANT_UPLOADS,
    UPLOAD,
    UPLOAD_JOBS,
)
from worker.stores.listing import newest_first, take_page
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep
from worker.stores.uploads import MediaFacts, MediaRecord, UploadWriter

MARKER = "installation"
CLAIM_S = 900.0  # longer than a registration may wait for its turn and take


_LOOKED_AT = 2000  # ids that one page of a listing may cost


class MediaStore:
    """Records of uploads, and the names of their bytes and of results."""

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
        self._tenants = TenantStore(redis)
        self._upkeep = Upkeep(redis, clock)
        self._tenant_stored_bytes = tenant_stored_bytes
        self._installation: bytes | None = None
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def join_installation(self) -> None:
        """Make sure that the records in the store and the bytes here belong together.

        Whoever comes first marks both. Call it once, when a process starts.

        Raises:
            MediaUnsuitable: this is another directory or bucket than the others use, or one that
            does not do what it must.
            MediaUnavailable, StoreUnavailable
        """
        self.blobs.require_suitable()
        with reaching():
            recorded: Reply = self.redis.get(INSTALLATION())

        if recorded is None:
            self.blobs.create(MARKER, new_id("ins").encode())
            with reaching():
                self.redis.set(INSTALLATION(), self._marker() or b"", nx=True)
                recorded = self.redis.get(INSTALLATION())

        if self._marker() != recorded:
            raise MediaUnsuitable(
                "The media here are not those that the store's records speak of: mount the same"
                " directory, or set the same LIKENESS_MEDIA, for every process. If they are the"
                f" right ones, write {recorded.decode()} into their file `{MARKER}`."
            )

        self._installation = bytes(recorded)

    def is_usable(self) -> bool:
        """Return whether a missing file can be told from lost media.

        A volume that was unmounted leaves an empty directory: the marker is not in it.
        """
        if not self.blobs.is_usable() or not os.access(self.incoming, os.W_OK | os.X_OK):
            return False
        try:
            return self._installation in (None, self._marker())
        except MediaUnavailable:
            return False

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

    def _marker(self) -> bytes | None:
        try:
            return self.blobs.read(MARKER)
        except FileNotFoundError:
            return None

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Tell a file that is missing (UnknownMedia) from media that are lost."""
        try:
            yield
        except FileNotFoundError as error:
            raise (UnknownMedia if self.is_usable() else MediaUnavailable) from error

    def begin_write(self, tenant: str) -> UploadWriter:
        """Begin an upload of this tenant; raises DiskFull."""
        with writing():
            return UploadWriter(self.incoming / new_id("upl"), tenant, self.adopt)

    def adopt(
        self, path: Path, tenant: str, sha256: str, facts: MediaFacts, ttl_s: float
    ) -> MediaRecord:
        """Give a complete file in `incoming/` its name and its record.

        Record first, so that no file lacks an owner.
        """
        now = self.clock()
        with writing():
            size = path.stat().st_size

        record = MediaRecord(path.name, tenant, sha256, size, now, now + ttl_s, facts)
        self._save(record)
        try:
            self.blobs.put(path, self.name(record))
        except StoreError:
            self._scripts.run("drop_upload", {"upload": record.id})
            raise

        return record

    def stat(self, media_id: str, tenant: str | None = None) -> MediaRecord:
        """Return an upload's record; raises UnknownMedia, also when it is another tenant's."""
        if not is_id(media_id, "upl"):
            raise UnknownMedia
        with reaching():
            fields = text_fields(self.redis.hgetall(UPLOAD(media_id)))

        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownMedia

        body = json.loads(fields["record"])
        return MediaRecord(**{**body, "facts": MediaFacts(**body["facts"])})

    def list(
        self, tenant: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[Sequence[MediaRecord], str | None]:
        """Return the tenant's uploads, newest first, and the cursor of the next page."""
        rows = (
            (upload_id, self._stat_if_there(upload_id, tenant))
            for ids in newest_first(self.redis, TENANT_UPLOADS(tenant), cursor)
            for upload_id in ids
        )
        return take_page(rows, limit, _LOOKED_AT)

    def _stat_if_there(self, upload_id: str, tenant: str) -> MediaRecord | None:
        try:
            return self.stat(upload_id, tenant)
        except UnknownMedia:
            return None  # it expired between the two reads

    def bring(self, record: MediaRecord, place: Path) -> None:
        """Make an upload's bytes a plain file; raises UnknownMedia when they are gone."""
        with self._looking():
            self.blobs.bring(self.name(record), place)

    def open(self, media_id: str, tenant: str) -> BinaryIO:
        """Open an upload, as a file whose descriptor can be passed on; raises UnknownMedia."""
        with self._looking():
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
        arguments = {
            "upload": media_id,
            "tenant": tenant,
            "now": now,
            "until": now + for_s,
            "unused": unused,
        }

        outcome = self._scripts.run("claim_upload", arguments)
        if outcome == b"unknown":
            raise UnknownMedia
        if outcome == b"in_use":
            raise UploadInUse

    def release(self, record: MediaRecord) -> None:
        """Undo a claim."""
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
        with suppress(UnknownMedia):
            self.blobs.delete(self.name(self.stat(media_id)))
        self._scripts.run("drop_upload", {"upload": media_id})

    def delete_unless_held(self, media_id: str, unused: bool = False) -> bool:
        """Remove an upload that no job in flight needs; False when one does.

        With `unused`, one that any job has used stays as well.
        """
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
            "record": json.dumps(asdict(record)),
            "sha256": record.sha256,
            "bytes": record.bytes,
            "expires_at": record.expires_at,
            "max_stored_bytes": self._tenant_stored_bytes,
        }
        if self._scripts.run("keep_upload", arguments) != b"kept":
            raise StorageQuotaExceeded

    def stored_bytes(self, tenant: str) -> tuple[int, int]:
        """Return how many bytes of uploads and results a tenant has stored, and may store."""
        with reaching():
            stored: Reply = self.redis.hget(STORED(), tenant)

        own = self._tenants.bound(tenant, "max_stored_bytes")
        return int(stored or 0), self._tenant_stored_bytes if own is None else own

    def all_stored_bytes(self) -> int:
        """Return how many bytes of uploads and results all tenants have stored."""
        with reaching():
            return int(cast(Reply, self.redis.hget(STORED(), "*")) or 0)

    def is_recorded(self, media_id: str) -> bool:
        """Return whether an upload has a record."""
        with reaching():
            return bool(self.redis.exists(UPLOAD(media_id)))

    def name(self, record: MediaRecord) -> str:
        """Return under what name an upload's bytes lie."""
        return f"uploads/{record.id[-2:]}/{record.id}{record.facts.suffix}"

    # Jobs

    def publish(self, job_id: str, file: Path, suffix: str, part: bool = False) -> str:
        """Give a job's finished file the name of its content; returns its SHA-256.

        Raises DiskFull, MediaUnavailable.
        """
        with writing():
            sha256 = seal(file)

        folder = _folder(job_id)
        self.blobs.put(
            file, f"{folder}/parts/{sha256}{suffix}" if part else f"{folder}/{sha256}{suffix}"
        )
        return sha256

    def bring_part(self, job_id: str, sha256: str, suffix: str, place: Path) -> None:
        """Make a published part a plain file; raises UnknownMedia."""
        with self._looking():
            self.blobs.bring(f"{_folder(job_id)}/parts/{sha256}{suffix}", place)

    def open_result(self, job: JobRecord) -> BinaryIO:
        """Return a job's result as a file to seek in.

        Raises:
            JobNotFinal: there is none yet. UnknownMedia: it ended without one. ResultExpired: it
            was deleted in time.
        """
        if not job.final:
            raise JobNotFinal
        if job.result is None:
            raise UnknownMedia
        if job.expires_at is not None and job.expires_at <= self.clock():
            raise ResultExpired
        try:
            with self._looking():
                return self.blobs.open(_result(job.id, job.result))
        except UnknownMedia as error:
            raise ResultExpired from error

    def discard_result(self, job_id: str, result: JobResult) -> None:
        """Remove a result that was not wanted."""
        self.blobs.delete(_result(job_id, result))

    def tidy_job(self, job_id: str) -> None:
        """Remove a job's parts; the result stays."""
        self.blobs.delete_all(f"{_folder(job_id)}/parts")

    def delete_job(self, job_id: str) -> None:
        """Remove everything a job made."""
        self.blobs.delete_all(_folder(job_id))
        self._scripts.run("drop_result", {"job": job_id})


def _folder(job_id: str) -> str:
    if not is_id(job_id, "job"):
        raise UnknownMedia
    return f"jobs/{job_id}"


def _result(job_id: str, result: JobResult) -> str:
    return f"{_folder(job_id)}/{result.sha256}{result.suffix}"
