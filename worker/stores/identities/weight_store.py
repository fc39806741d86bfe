"""The bounded cache of identities' specialised weights.

They may be evicted at any time: derived ones can be rebuilt from the identity's code, refined ones
are in its vault.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis

from worker.errors import WorkerError
from worker.stores.connection import Reply, reaching
from worker.stores.jobs.statistics import Statistics
from worker.stores.keys import WEIGHTS, WEIGHTS_BYTES, WEIGHTS_LOCK
from worker.stores.scripts import Scripts

log = logging.getLogger(__name__)

LOCK_TTL_S = 30.0  # a rebuild takes a second or two; a caller that dies frees its lock by this
DIGEST_BYTES = 32


class WeightsCorrupt(WorkerError):
    """Stored weights are no longer what was put: memory and disks flip bits."""

    code = "weights_corrupt"
    message = "The stored weights are corrupt."


class WeightStore:
    """Weights by identity and pack."""

    def __init__(
        self, redis: Redis, bound_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        """Hold at most `bound_bytes` of weights."""
        self._redis = redis
        self._bound_bytes = bound_bytes
        self._clock = clock
        self._scripts = Scripts(redis)
        self._statistics = Statistics(redis)

    def get(self, identity_id: str, pack: str) -> bytes | None:
        """Return cached weights, or None; raises WeightsCorrupt."""
        arguments = {"identity": identity_id, "pack": pack, "now_ms": self._now_ms()}
        kept: bytes | None = self._scripts.run("get_weights", arguments)

        if kept is None:
            return None

        # A wrong weight would show in a face, and nothing else would tell.
        digest = kept[:DIGEST_BYTES]
        weights = kept[DIGEST_BYTES:]
        if hashlib.sha256(weights).digest() != digest:
            log.error("stored weights are corrupt", extra={"identity": identity_id, "pack": pack})
            self._statistics.count("weights:corrupt")
            raise WeightsCorrupt

        return weights

    def put(self, identity_id: str, pack: str, weights: bytes, refined: bool = False) -> bool:
        """Cache weights, evicting the least recently used.

        False when the identity is gone, they are too large, or derived and no longer wanted.
        """
        arguments = {
            "identity": identity_id,
            "pack": pack,
            "bound": self._bound_bytes,
            "refined": refined,
            "now_ms": self._now_ms(),
        }
        return bool(self._scripts.run("put_weights", arguments, blob=_sealed(weights)) == b"stored")

    def has(self, identity_id: str, pack: str) -> bool:
        """Return whether weights are cached, without counting it as a use."""
        member = _member(identity_id, pack)
        with reaching():
            return bool(self._redis.exists(WEIGHTS(member)))

    def cached_bytes(self) -> int:
        """Return how many bytes of weights there are."""
        with reaching():
            held: Reply = self._redis.get(WEIGHTS_BYTES())
        return int(held or 0)

    @contextmanager
    def building(self, identity_id: str, pack: str) -> Iterator[bool]:
        """Yield whether the caller is the one that may rebuild weights, while it does so."""
        lock = WEIGHTS_LOCK(_member(identity_id, pack))
        # Ours to release only while we hold it: the lock may have passed to another caller.
        token = secrets.token_hex(8)
        with reaching():
            # SET NX with a TTL is one step: a crash cannot leave a lock without an end.
            is_ours = bool(self._redis.set(lock, token, nx=True, px=int(LOCK_TTL_S * 1000)))

        try:
            yield is_ours
        finally:
            if is_ours:
                self._scripts.run("unlock", {"name": lock, "token": token})

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _member(identity_id: str, pack: str) -> str:
    return f"{identity_id}:{pack}"


def _sealed(weights: bytes) -> bytes:
    """Return weights as they are stored: behind their SHA-256."""
    return hashlib.sha256(weights).digest() + weights
