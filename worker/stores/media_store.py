"""Files of uploads and jobs under one directory, and the records that say whose they are and when
they go.

uploads/<xx>/<upload id><suffix>     what users sent; recorded in the store with a TTL incoming/
uploads that are still being written jobs/<job id>/<sha256><suffix>       a job's result, by its
content; parts/ holds a film's segments staging/worker-*/  files of the job that a worker's child
is at (`worker.process.staging`)

Names and extensions are ours, never the user's. Directories are 0700, files 0600. A file gets its
name only once it is complete and on the disk, so what has a name can be served.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from redis import Redis

from worker.contract import JobRecord, JobResult
from worker.errors import (
    JobNotFinal,
    MediaUnavailable,
    ResultExpired,
    StorageQuotaExceeded,
    StoreError,
    UnknownMedia,
    UploadInUse,
)
from worker.stores.connection import Reply, Scripts, reaching, text_fields, texts
from worker.stores.durable_files import seal, sync_directory, writing
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.key_store import TenantStore
from worker.stores.keys import CONTENT, STORED, UPLOAD, UPLOAD_JOBS
from worker.stores.upkeep import Upkeep
from worker.stores.uploads import MediaFacts, MediaRecord, UploadWriter

CLAIM_S = 900.0  # longer than a registration may wait for its turn and take


class MediaStore:
    """Uploads and results on disk."""

    def __init__(
        self,
        root: Path,
        redis: Redis,
        clock: Callable[[], float] = time.time,
        tenant_stored_bytes: int = JobLimits.tenant_stored_bytes,
    ) -> None:
        self.root = root
        self.redis = redis
        self.clock = clock
        self._scripts = Scripts(redis)
        self._tenants = TenantStore(redis)
        self._upkeep = Upkeep(redis, clock)
        self._tenant_stored_bytes = tenant_stored_bytes
        self._directories = (root, root / "uploads", root / "incoming", root / "jobs")

        for directory in self._directories:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _require_usable(self) -> None:
        """Raise MediaUnavailable unless a missing file can be told from a lost directory."""
        if not self.is_usable():
            raise MediaUnavailable

    def is_usable(self) -> bool:
        """Return whether the directories are there and can be written to."""
        return all(os.access(place, os.W_OK | os.X_OK) for place in self._directories)

    def begin_write(self, tenant: str) -> UploadWriter:
        """Begin an upload of this tenant; raises DiskFull."""
        with writing():
            return UploadWriter(self.root / "incoming" / new_id("upl"), tenant, self.adopt)

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
        target = self._upload_path(record)

        try:
            with writing():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                os.replace(path, target)
                sync_directory(target.parent)
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

    def path(self, record: MediaRecord) -> Path:
        """Return where an upload's bytes are; raises UnknownMedia when they are gone."""
        path = self._upload_path(record)
        if not path.is_file():
            self._require_usable()
            raise UnknownMedia

        return path

    def open(self, media_id: str, tenant: str) -> BinaryIO:
        """Open an upload's bytes; raises UnknownMedia."""
        return self.path(self.stat(media_id, tenant)).open("rb")

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
            self._upload_path(self.stat(media_id)).unlink(missing_ok=True)
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

    def is_recorded(self, media_id: str) -> bool:
        """Return whether an upload has a record."""
        with reaching():
            return bool(self.redis.exists(UPLOAD(media_id)))

    def _upload_path(self, record: MediaRecord) -> Path:
        return self.root / "uploads" / record.id[-2:] / f"{record.id}{record.facts.suffix}"

    # Jobs

    def job_dir(self, job_id: str) -> Path:
        """Return the directory that holds everything a job makes."""
        if not is_id(job_id, "job"):
            raise UnknownMedia
        return self.root / "jobs" / job_id

    def publish(self, job_id: str, file: Path, suffix: str, part: bool = False) -> str:
        """Give a job's finished file the name of its content; returns its SHA-256.

        Raises DiskFull.
        """
        directory = self.job_dir(job_id) / "parts" if part else self.job_dir(job_id)
        with writing():
            for made in (self.job_dir(job_id), directory):
                made.mkdir(mode=0o700, exist_ok=True)

            sha256 = seal(file)
            os.replace(file, directory / f"{sha256}{suffix}")
            sync_directory(directory)

        return sha256

    def part_path(self, job_id: str, sha256: str, suffix: str) -> Path:
        return self.job_dir(job_id) / "parts" / f"{sha256}{suffix}"

    def result_path(self, job: JobRecord) -> Path:
        """Return where a job's result is.

        Raises:
            JobNotFinal: there is none yet. UnknownMedia: it ended without one. ResultExpired: it
            was deleted in time.
        """
        if not job.final:
            raise JobNotFinal
        if job.result is None:
            raise UnknownMedia

        path = self._result_path(job.id, job.result)
        if job.expires_at is not None and job.expires_at <= self.clock():
            raise ResultExpired
        if not path.is_file():
            self._require_usable()
            raise ResultExpired

        return path

    def discard_result(self, job_id: str, result: JobResult) -> None:
        """Remove a result that was not wanted."""
        self._result_path(job_id, result).unlink(missing_ok=True)

    def tidy_job(self, job_id: str) -> None:
        """Remove a job's parts; the result stays."""
        for entry in self.job_dir(job_id).glob("*/"):
            shutil.rmtree(entry, ignore_errors=True)

    def delete_job(self, job_id: str) -> None:
        """Remove everything a job made."""
        shutil.rmtree(self.job_dir(job_id), ignore_errors=True)
        self._scripts.run("drop_result", {"job": job_id})

    def _result_path(self, job_id: str, result: JobResult) -> Path:
        return self.job_dir(job_id) / f"{result.sha256}{result.suffix}"
