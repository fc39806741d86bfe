"""Tenants: their names, and the bounds and secrets that are their own.

A tenant begins with its first API key and needs nothing else: without bounds of its own, those of
the installation hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from redis import Redis
from redis.client import Pipeline

from worker.stores.connection import as_hash, reaching, texts
from worker.stores.keys import TENANT, TENANTS

Bound = Literal["max_jobs", "max_bytes", "max_running", "max_stored_bytes"]
BOUNDS: tuple[Bound, ...] = get_args(Bound)
# Part of keys and log lines, and a label of metrics: no character that any of them treats as
# special.
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class TenantStore:
    """Tenants, and the bounds and secrets that are their own."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def names(self) -> Sequence[str]:
        """Return every tenant that has had a key."""
        with reaching():
            return sorted(texts(self._redis.smembers(TENANTS())))

    def add(self, tenant: str, pipeline: Pipeline) -> None:
        """Make a tenant known, within a caller's pipeline."""
        pipeline.sadd(TENANTS(), tenant)

    def set_bounds(self, tenant: str, bounds: Mapping[Bound, int]) -> None:
        """Give a tenant other bounds than `JobLimits` has; admission reads them."""
        # HSET refuses an empty mapping.
        if not bounds:
            return
        with reaching():
            self._redis.hset(
                TENANT(tenant), mapping=as_hash({str(b): n for b, n in bounds.items()})
            )

    def ask_bounds(self, tenant: str, bounds: Sequence[Bound], pipeline: Pipeline) -> None:
        """Ask for a tenant's own bounds within a caller's pipeline; None where the common one
        holds.
        """
        pipeline.hmget(TENANT(tenant), list(bounds))

    def webhook_secret(self, tenant: str, new: str) -> str:
        """Return the secret that signs what is sent to addresses given with a job.

        It becomes `new` when there is none yet; of two callers at once, both get the first one's.
        """
        with reaching():
            self._redis.hsetnx(TENANT(tenant), "webhook_secret", new)
            return texts(self._redis.hmget(TENANT(tenant), ["webhook_secret"]))[0]
