"""Files that jobs made: a result by its content, and the parts of a video until they are joined.

Two attempts that make the same bytes publish the same name, so a stale one cannot replace
anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from redis import Redis

from worker.contract.jobs import JobRecord, JobResult
from worker.errors import JobNotFinal, ResultExpired, UnknownMedia
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.durable_files import seal, writing
from worker.stores.ids import is_id
from worker.stores.media.installation import Installation
from worker.stores.scripts import Scripts


class ResultStore:
    """Results and parts by job."""

    def __init__(
        self,
        blobs: Blobs,
        installation: Installation,
        redis: Redis,
        clock: Callable[[], float],
    ) -> None:
        """Keep bytes in `blobs`, whose `installation` tells missing files from lost media."""
        self._blobs = blobs
        self._installation = installation
        self._clock = clock
        self._scripts = Scripts(redis)

    def publish(self, job_id: str, file: Path, suffix: str, part: bool = False) -> str:
        """Give a job's finished file the name of its content; returns its SHA-256.

        Raises DiskFull, MediaUnavailable.
        """
        # On the disk before it has its name: whoever finds the name reads the whole file.
        with writing():
            sha256 = seal(file)

        folder = _folder(job_id)
        self._blobs.put(
            file, f"{folder}/parts/{sha256}{suffix}" if part else f"{folder}/{sha256}{suffix}"
        )
        return sha256

    def bring_part(self, job_id: str, sha256: str, suffix: str, place: Path) -> None:
        """Make a published part a plain file; raises UnknownMedia."""
        with self._installation.reading():
            self._blobs.bring(f"{_folder(job_id)}/parts/{sha256}{suffix}", place)

    def open(self, job: JobRecord) -> BinaryIO:
        """Return a job's result as a file to seek in.

        Raises:
            JobNotFinal: there is none yet. UnknownMedia: it ended without one. ResultExpired: it
            was deleted in time.
        """
        if not job.final:
            raise JobNotFinal
        if job.result is None:
            raise UnknownMedia
        # The sweep comes a little later; nobody may see a result after its time.
        if job.expires_at is not None and job.expires_at <= self._clock():
            raise ResultExpired

        try:
            with self._installation.reading():
                return self._blobs.open(_result(job.id, job.result))
        except UnknownMedia as error:
            raise ResultExpired from error

    def discard(self, job_id: str, result: JobResult) -> None:
        """Remove a result that was not wanted."""
        self._blobs.delete(_result(job_id, result))

    def delete_parts(self, job_id: str) -> None:
        """Remove a job's parts; the result stays."""
        self._blobs.delete_all(f"{_folder(job_id)}/parts")

    def delete_all(self, job_id: str) -> None:
        """Remove everything a job made."""
        self._blobs.delete_all(_folder(job_id))
        # After the bytes: until then they count as stored by the tenant.
        self._scripts.run("drop_result", {"job": job_id})


def _folder(job_id: str) -> str:
    # Nothing that is no id of ours may become a path.
    if not is_id(job_id, "job"):
        raise UnknownMedia
    return f"jobs/{job_id}"


def _result(job_id: str, result: JobResult) -> str:
    return f"{_folder(job_id)}/{result.sha256}{result.suffix}"
