"""How many bytes of uploads and results are stored, counted by the scripts that keep and drop them.

A tenant's own bound comes before the installation's.
"""

from __future__ import annotations

from typing import cast

from redis import Redis

from worker.stores.connection import Reply, reaching
from worker.stores.keys import STORED
from worker.stores.tenants import TenantStore

ALL_TENANTS = "*"  # no tenant's name, which has none but letters, digits, _ and -


class StorageUse:
    """Bytes that are stored, of one tenant or of all."""

    def __init__(self, redis: Redis, tenant_bound: int) -> None:
        """Allow a tenant without a bound of its own `tenant_bound` bytes."""
        self._redis = redis
        self._tenants = TenantStore(redis)
        self.tenant_bound = tenant_bound

    def of_tenant(self, tenant: str) -> tuple[int, int]:
        """Return how many bytes of uploads and results a tenant has stored, and may store."""
        with reaching(), self._redis.pipeline(transaction=False) as together:
            together.hget(STORED(), tenant)
            self._tenants.ask_bounds(tenant, ("max_stored_bytes",), together)
            stored, [own] = together.execute()

        return int(stored or 0), self.tenant_bound if own is None else int(own)

    def of_all(self) -> int:
        """Return how many bytes of uploads and results all tenants have stored."""
        with reaching():
            return int(cast(Reply, self._redis.hget(STORED(), ALL_TENANTS)) or 0)
