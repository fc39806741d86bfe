"""Browser tokens: keys that live for minutes, serve pages of one origin, and end with their parent.

They are kept as every key is. `TENANT_TOKENS` and `TOKEN_ORIGINS` have tokens and origins by their
end: to bound their number, and to know whose pages may read answers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable

from redis import Redis

from worker.errors import QuotaExceeded
from worker.stores.connection import reaching
from worker.stores.key_store import ApiKey, KeyStore, Scope
from worker.stores.keys import TENANT_TOKENS, TOKEN_ORIGINS

MOST_TOKENS = 1000  # of one tenant at a time: a thousand visitors of its page in a quarter hour


class BrowserTokens:
    """Makes browser tokens, and knows which origins have some."""

    def __init__(
        self, redis: Redis, keys: KeyStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._clock = clock

    def create(
        self, parent: ApiKey, scopes: Iterable[Scope], origin: str, ttl_s: int
    ) -> tuple[ApiKey, str]:
        """Return a new token's record and its text, which cannot be had again.

        Raises QuotaExceeded, StoreUnavailable.
        """
        now = self._clock()
        index = TENANT_TOKENS(parent.tenant)
        with reaching():
            # Ended ones do not count; nobody else removes them.
            self._redis.zremrangebyscore(index, 0, now)
            if self._redis.zcard(index) >= MOST_TOKENS:
                raise QuotaExceeded("Quota exceeded: too many browser tokens.")

        key = ApiKey(
            id=secrets.token_hex(8),
            tenant=parent.tenant,
            scopes=frozenset(scopes),
            name="browser token",
            created_at=now,
            expires_at=now + ttl_s,
            revoked_at=None,
            origin=origin,
            # A token ends with its parent, whatever its own time says.
            parent=parent.id,
        )
        token = self._keys.save(key, ttl_s)

        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.zadd(index, {key.id: now + ttl_s})
            # The index lives as long as its longest token; `gt` needs a time to live, which the
            # next line sets.
            pipeline.expire(index, ttl_s, gt=True)
            pipeline.expire(index, ttl_s, nx=True)
            pipeline.zremrangebyscore(TOKEN_ORIGINS(), 0, now)
            pipeline.zadd(TOKEN_ORIGINS(), {origin: now + ttl_s}, gt=True)
            pipeline.execute()

        return key, token

    def has_origin(self, origin: str) -> bool:
        """Return whether some token for pages of this origin has not expired."""
        with reaching():
            end = self._redis.zscore(TOKEN_ORIGINS(), origin)
        return end is not None and end > self._clock()
