"""Erasure reaches everything that remembers: the workers' memory and the store's log on disk.

After a DEL the bytes stay in the append-only file until that is rewritten.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from worker.stores.connection import Reply, reaching
from worker.stores.keys import ERASURE_REWRITTEN, ERASURE_STARTED, ERASURE_WANTED, ERASURES

DEBOUNCE_S = 5.0  # several erasures share one rewrite
BATCH = 100  # erasures a round; the rest follow a second later


class ErasureFeed:
    """Erased identities, each reported to a reader once, and when the log was rewritten."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._last: bytes | None = None

    def new(self) -> list[str]:
        """Return the identities erased since the last call; the first call only marks the place."""
        with reaching():
            if self._last is None:
                newest: Reply = self._redis.xrevrange(ERASURES(), count=1)
                self._last = newest[0][0] if newest else b"0-0"

            # A stream, not a channel: a worker that was away for a while misses nothing.
            rows: Reply = self._redis.xrange(ERASURES(), min=b"(" + self._last, count=BATCH)

        if rows:
            self._last = rows[-1][0]

        return [fields[b"identity"].decode() for _, fields in rows]

    def rewritten_at(self) -> float | None:
        """Return when the newest complete log was begun; None when there was none yet."""
        with reaching():
            begun: Reply = self._redis.get(ERASURE_REWRITTEN())
        return float(begun) if begun is not None else None


def want_rewrite(pipeline: Pipeline, now: float) -> None:
    """Have the append-only file rewritten without what a pipeline deletes."""
    pipeline.set(ERASURE_WANTED(), repr(now))


class LogRewriter:
    """Rewrites the store's append-only file after erasures, and notes when a rewrite is through."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock

    def run(self) -> None:
        """Start a rewrite that is due, or note the end of one; call it every second or so."""
        with reaching():
            wanted = _time(self._redis, ERASURE_WANTED())
            started = _time(self._redis, ERASURE_STARTED())
            rewritten = _time(self._redis, ERASURE_REWRITTEN())
            # Nothing was erased since the newest rewrite began.
            if wanted <= rewritten:
                return

            state: Reply = self._redis.info("persistence")
            # Without a log there is none to rewrite, and nothing that a receipt could claim: a
            # snapshot or a replica's file may still hold what was erased.
            if not state.get("aof_enabled"):
                return
            # Ours or another's: either way wait, a rewrite that began before the erasure proves
            # nothing.
            if state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]:
                return
            # As of its start: what was erased while it ran may still be in the new file.
            elif started > rewritten and state["aof_last_bgrewrite_status"] == "ok":
                self._redis.set(ERASURE_REWRITTEN(), repr(started))
            # The second condition bounds the wait while erasures keep coming.
            elif self._clock() - wanted >= DEBOUNCE_S or self._clock() - started >= 2 * DEBOUNCE_S:
                self._start()

    def _start(self) -> None:
        # Noted before the rewrite begins: what was erased by then is not in the new file.
        self._redis.set(ERASURE_STARTED(), repr(self._clock()))
        try:
            self._redis.bgrewriteaof()
        except ResponseError:  # the server forks for a snapshot: try again in the next round
            self._redis.delete(ERASURE_STARTED())


def _time(redis: Redis, key: str) -> float:
    value: Reply = redis.get(key)
    return float(value) if value is not None else 0.0
