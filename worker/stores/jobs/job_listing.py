"""A tenant's jobs, page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from redis import Redis

from worker.contract.jobs import JobRecord, Status
from worker.contract.requests import JobKind
from worker.stores.connection import reaching
from worker.stores.jobs.job_records import read_record
from worker.stores.keys import TENANT_JOBS
from worker.stores.listing import newest_first, take_page

log = logging.getLogger(__name__)

ReadHashes: TypeAlias = Callable[[Sequence[str]], Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Page:
    """Some jobs, newest first, and where the next page begins; None after the last one."""

    jobs: Sequence[JobRecord]
    next_cursor: str | None


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are wanted; None wants them all.

    Times are seconds since the epoch, of the job's creation; `metadata` is a name and a text.
    """

    status: Status | None = None
    kind: JobKind | None = None
    identity_id: str | None = None
    created_from: float | None = None
    created_before: float | None = None
    metadata: tuple[str, str] | None = None

    def wants(self, job: JobRecord) -> bool:
        """Return whether a job is among them."""
        created_at = round(job.created_at, 6)  # as it is shown: clients ask with what they saw
        return (
            self.status in (None, job.status)
            and self.kind in (None, job.kind)
            and (self.identity_id is None or self.identity_id in job.payload.identities())
            and (self.created_from is None or created_at >= self.created_from)
            and (self.created_before is None or created_at < self.created_before)
            and (self.metadata is None or self._has_metadata(job))
        )

    def _has_metadata(self, job: JobRecord) -> bool:
        name, text = self.metadata or ("", "")
        return name in job.metadata and str(job.metadata[name]) == text


class JobListing:
    """Lists jobs; a page looks at no more than `most_rows` records, which `read` returns by id."""

    def __init__(self, redis: Redis, read: ReadHashes, most_rows: int) -> None:
        self._redis = redis
        self._read = read
        self._most_rows = most_rows

    def page(self, tenant: str, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """Return the page after `cursor`."""
        jobs = self._newest_first(tenant, cursor)
        rows = ((job.id, job if wanted.wants(job) else None) for job in jobs)
        page, following = take_page(rows, limit, self._most_rows)

        return Page(jobs=page, next_cursor=following)

    def _newest_first(self, tenant: str, cursor: str | None) -> Iterator[JobRecord]:
        index = TENANT_JOBS(tenant)
        for ids in newest_first(self._redis, index, cursor):
            hashes = self._read(ids)

            # Records end by themselves; the index learns of it when somebody lists.
            expired = [job_id for job_id, fields in zip(ids, hashes, strict=True) if not fields]
            if expired:
                with reaching():
                    self._redis.zrem(index, *expired)

            for job_id, fields in zip(ids, hashes, strict=True):
                if fields and (record := _read_if_readable(job_id, fields)):
                    yield record


def _read_if_readable(job_id: str, fields: Mapping[str, str]) -> JobRecord | None:
    try:
        return read_record(fields)
    except (ValueError, KeyError, TypeError):  # one bad record must not break a list
        log.exception("job record is unreadable", extra={"job": job_id})
        return None
