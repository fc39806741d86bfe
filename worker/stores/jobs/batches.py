"""Batches: jobs that one request has made, followed and told of as one.

A batch's record says how many jobs it has; the step that ends the last of them (`lua/settle.lua`)
writes when that was, and the message about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis

from worker.errors import UnknownBatch
from worker.stores.connection import as_hash, reaching, text_fields, texts
from worker.stores.ids import is_id, new_id
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.keys import BATCH, BATCH_JOBS, TENANT_BATCHES
from worker.stores.listing import newest_first, take_page

LOOKED_AT = 2000  # ids that one page of a listing may cost


@dataclass(frozen=True)
class BatchRecord:
    """A batch; times are seconds since the epoch. `finished_at` is None while a job of it runs."""

    id: str
    tenant: str
    total: int
    created_at: float
    expires_at: float
    finished_at: float | None
    webhook: str | None


class BatchStore:
    """Batches of tenants, and which jobs are in them."""

    def __init__(
        self, redis: Redis, limits: JobLimits, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._clock = clock
        # As long as the record of a job that runs until its deadline.
        self._ttl_s = limits.record_ttl_s + limits.default_deadline_s

    def begin(self, tenant: str, total: int, webhook: str | None) -> BatchRecord:
        """Record a batch of `total` jobs, of which none is admitted yet."""
        now = self._clock()
        batch = BatchRecord(
            id=new_id("bat", now),
            tenant=tenant,
            total=total,
            created_at=now,
            expires_at=now + self._ttl_s,
            finished_at=None,
            webhook=webhook,
        )
        fields = {
            "tenant": tenant,
            "total": str(total),
            "created_at": repr(now),
            "expires_at": repr(batch.expires_at),
            **({"webhook": webhook} if webhook else {}),
        }

        oldest = new_id("bat", now - self._ttl_s)  # ids sort by time
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(BATCH(batch.id), mapping=as_hash(fields))
            pipeline.expire(BATCH(batch.id), int(self._ttl_s))
            pipeline.zadd(TENANT_BATCHES(tenant), {batch.id: 0})
            pipeline.zremrangebylex(TENANT_BATCHES(tenant), "-", f"({oldest}")
            pipeline.execute()

        return batch

    def get(self, batch_id: str, tenant: str | None = None) -> BatchRecord:
        """Return a batch's record; raises UnknownBatch, also when it is another tenant's."""
        if not is_id(batch_id, "bat"):
            raise UnknownBatch
        with reaching():
            fields = text_fields(self._redis.hgetall(BATCH(batch_id)))
        if "total" not in fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownBatch

        finished_at = fields.get("finished_at")
        return BatchRecord(
            id=batch_id,
            tenant=fields["tenant"],
            total=int(fields["total"]),
            created_at=float(fields["created_at"]),
            expires_at=float(fields["expires_at"]),
            finished_at=float(finished_at) if finished_at else None,
            webhook=fields.get("webhook"),
        )

    def jobs(self, batch_id: str) -> Sequence[str]:
        """Return the ids of a batch's jobs, in the order of the request."""
        with reaching():
            return texts(self._redis.lrange(BATCH_JOBS(batch_id), 0, -1))

    def list(
        self, tenant: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[Sequence[BatchRecord], str | None]:
        """Return the tenant's batches, newest first, and the cursor of the next page."""
        rows = (
            (batch_id, self._get_if_there(batch_id, tenant))
            for ids in newest_first(self._redis, TENANT_BATCHES(tenant), cursor)
            for batch_id in ids
        )
        return take_page(rows, limit, LOOKED_AT)

    def delete(self, batch: BatchRecord) -> None:
        """Forget a batch; its jobs are the caller's."""
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.zrem(TENANT_BATCHES(batch.tenant), batch.id)
            pipeline.delete(BATCH(batch.id), BATCH_JOBS(batch.id))
            pipeline.execute()

    def _get_if_there(self, batch_id: str, tenant: str) -> BatchRecord | None:
        try:
            return self.get(batch_id, tenant)
        except UnknownBatch:
            return None  # it expired between the two reads
