"""What a tenant's Idempotency-Keys made: a job, or another resource.

A job's key is written by the step that admits it (`lua/admit.lua`). Any other creation reserves
its key first; a reservation ends by itself, so a request that dies with its process frees it.
"""

from __future__ import annotations

import hashlib

from redis import Redis

from worker.contract.requests import IdempotencyKey
from worker.errors import IdempotencyInProgress, IdempotencyMismatch
from worker.stores.connection import reaching, text_fields
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.keys import IDEMPOTENCY

KEPT_S = int(JobLimits.idempotency_ttl_s)
RESERVED_S = 15 * 60  # longer than any request may take


class IdempotencyStore:
    """Keys of creations by tenant."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def job(self, tenant: str, key: IdempotencyKey) -> str | None:
        """Return the id of the job that a key made; None when it made none.

        Raises IdempotencyMismatch when the key came with another body.
        """
        with reaching():
            fields = text_fields(self._redis.hgetall(idempotency_name(tenant, key.key)))

        if "job" not in fields:
            return None
        if fields["fingerprint"] != key.fingerprint:
            raise IdempotencyMismatch

        return fields["job"]

    def reserve(self, tenant: str, key: IdempotencyKey) -> str | None:
        """Reserve a key for a creation, or return the id of the resource that it has made.

        Raises IdempotencyMismatch, or IdempotencyInProgress while the first request runs.
        """
        name = idempotency_name(tenant, key.key)
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hsetnx(name, "fingerprint", key.fingerprint)
            pipeline.hmget(name, "fingerprint", "resource")
            pipeline.ttl(name)
            # In one transaction, so that of two requests exactly one reserves the key.
            is_new, (first_fingerprint, resource), ttl_s = pipeline.execute()

            # Without a time to live: a process died here, between the two steps.
            if is_new or ttl_s < 0:
                self._redis.expire(name, RESERVED_S)

        if is_new:
            return None
        if first_fingerprint.decode() != key.fingerprint:
            raise IdempotencyMismatch
        # Reserved and not kept: the first request runs, or died less than a quarter of an hour ago.
        if resource is None:
            raise IdempotencyInProgress

        return str(resource.decode())

    def keep(self, tenant: str, key: str, resource_id: str) -> None:
        """Record what a reserved key has made."""
        name = idempotency_name(tenant, key)
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(name, "resource", resource_id)
            pipeline.expire(name, KEPT_S)
            pipeline.execute()

    def release(self, tenant: str, key: str) -> None:
        """Free a reserved key: its creation failed and may be tried again."""
        with reaching():
            self._redis.delete(idempotency_name(tenant, key))


def idempotency_name(tenant: str, key: str) -> str:
    """Return where a tenant's Idempotency-Key is kept; hashed, because clients choose the text."""
    return IDEMPOTENCY(tenant, hashlib.sha256(key.encode()).hexdigest())
