"""Whether the key of a response that takes long is still accepted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from anyio import to_thread

from worker.errors import StoreError
from worker.stores.key_store import KeyStore

_CHECK_EVERY_S = 2.0  # a stream must end within 5 s of the revocation, and asks each second
# A bound, not a size to be reached: one entry for each key with an open stream.
_MAX_KEPT = 10_000


class KeyWatch:
    """Answers for all streams together: the store is asked once per key every two seconds."""

    def __init__(self, keys: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._checked: dict[str, float] = {}

    async def is_active(self, key_id: str) -> bool:
        """Return whether the key was neither revoked nor has expired, at most two seconds ago.

        While the store is out of reach no key is known to have ended.
        """
        now = self._clock()
        if now - self._checked.get(key_id, -_CHECK_EVERY_S) < _CHECK_EVERY_S:
            return True
        try:
            if not await to_thread.run_sync(self._keys.is_active, key_id):
                return False
        except StoreError:
            return True

        if len(self._checked) >= _MAX_KEPT:
            # All at once is simple, and costs each open stream one look-up.
            self._checked.clear()

        self._checked[key_id] = now
        return True

    def of(self, key_id: str) -> Callable[[], Awaitable[bool]]:
        """Return the question for one key."""
        return lambda: self.is_active(key_id)
