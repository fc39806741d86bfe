"""Erasure reaches the disk: after a DEL the bytes stay in the append-only file until that is
rewritten.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import ResponseError

from worker.stores.connection import Reply, reaching

DEBOUNCE_S = 5.0  # several erasures share one rewrite


class LogRewriter:
    """Rewrites the store's append-only file after erasures, and notes when a rewrite is through."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock

    def run(self) -> None:
        """Start a rewrite that is due, or note the end of one; call it every second or so."""
        with reaching():
            wanted, started, rewritten = (
                self._time(f"lk:erasure:{name}") for name in ("wanted", "started", "rewritten")
            )
            if wanted <= rewritten:
                return

            state: Reply = self._redis.info("persistence")
            if not state.get("aof_enabled"):
                self._redis.set("lk:erasure:rewritten", repr(self._clock()))
            elif state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]:
                return
            elif started > rewritten and state["aof_last_bgrewrite_status"] == "ok":
                self._redis.set("lk:erasure:rewritten", repr(started))
            elif self._clock() - wanted >= DEBOUNCE_S or self._clock() - started >= 2 * DEBOUNCE_S:
                self._start()

    def _start(self) -> None:
        # Noted before the rewrite begins: what was erased by then is not in the new file.
        self._redis.set("lk:erasure:started", repr(self._clock()))
        try:
            self._redis.bgrewriteaof()
        except ResponseError:
            self._redis.delete(
                "lk:erasure:started"
            )  # another child of the server is at work: try again

    def _time(self, key: str) -> float:
        value: Reply = self._redis.get(key)
        return float(value) if value is not None else 0.0
