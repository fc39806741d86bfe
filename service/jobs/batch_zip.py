"""The results of a batch as one ZIP file, made while it is sent."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final

from anyio import to_thread

from service.protocol.problems import ServiceError
from worker.contract.jobs import JobRecord
from worker.errors import Missing, StoreError
from worker.stores.media.media_store import MediaStore

CHUNK_BYTES: Final = 1 << 20
TABLE: Final = "results.csv"
_OLDEST = (1980, 1, 1, 0, 0, 0)  # the first day that ZIP knows; the table has the real times


class _Sent(io.RawIOBase):
    """What was written and not sent yet; it cannot be sought, so that `zipfile` streams."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        """Return what waits, and let go of it."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def zip_name(job: JobRecord) -> str:
    """Return a result's name in the file: the upload's id, then the identity's and the job's."""
    person = _identity_id(job) or "nobody"
    suffix = job.result.suffix if job.result else ""
    return f"{job.payload.input_id}/{person}-{job.id}{suffix}"


async def zipped(
    media: MediaStore, jobs: Sequence[JobRecord], is_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Yield a ZIP file of the jobs' results and a table of all jobs.

    What has expired meanwhile is named in the table alone. Ends when the key does.
    """
    chunks = _chunks(media, jobs)
    while chunk := await to_thread.run_sync(next, chunks, b""):
        # As with a single result: a revoked key must not finish its download.
        if not await is_allowed():
            raise ServiceError("unauthorized", "The key was revoked or has expired")
        yield chunk


def _chunks(media: MediaStore, jobs: Sequence[JobRecord]) -> Iterator[bytes]:
    """Yield what `zipfile` has written so far; never empty bytes, which would end the download."""
    out = _Sent()
    rows: list[tuple[str, ...]] = []

    # Media are compressed already. 64 bits: a batch of videos may have gigabytes.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
        for job in jobs:
            name = ""
            try:
                if job.result is not None:
                    with media.results.open(job) as source:
                        name = zip_name(job)
                        info = zipfile.ZipInfo(name, _OLDEST)
                        with file.open(info, "w", force_zip64=True) as target:
                            while chunk := source.read(CHUNK_BYTES):
                                target.write(chunk)
                                yield out.take()
            except (Missing, StoreError):
                name = ""  # gone since the batch was looked up

            # Also of jobs without a file: the table says why.
            rows.append(_row(job, name))

        # Last, because only now it is known which files are in it.
        file.writestr(zipfile.ZipInfo(TABLE, _OLDEST), _table(rows))
        yield out.take()

    yield out.take()


def _row(job: JobRecord, name: str) -> tuple[str, ...]:
    return (
        job.payload.input_id or "",
        _identity_id(job),
        job.id,
        job.status,
        job.error.code if job.error else "",
        name,
    )


def _identity_id(job: JobRecord) -> str:
    # A job of a batch has one assignment.
    assignments = job.payload.assignments
    return assignments[0].identity_id if assignments else ""


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO()
    heads = ("upload_id", "identity_id", "job_id", "status", "error", "file")
    csv.writer(text).writerows([heads, *rows])
    return text.getvalue()
