"""Whether the audit trail is as it was written, as the page and its readers may ask at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from worker.errors import AuditBroken
from worker.provenance.audit.archive import AuditArchive, Check

# A check reads the whole trail, 100,000 entries in about two seconds: readers share one a minute.
EVERY_S = 60.0


@dataclass(frozen=True)
class ChainState:
    """What a check found; `problem` says where the trail is broken, "" where it is intact."""

    entries: int
    problem: str
    checked_at: float

    @property
    def is_intact(self) -> bool:
        return not self.problem


class ChainCheck:
    """Checks the trail once for all who ask meanwhile; call it from a thread."""

    def __init__(
        self, archive: AuditArchive, check: Check, clock: Callable[[], float] = time.time
    ) -> None:
        self._archive = archive
        self._check = check
        self._clock = clock
        self._checking = Lock()
        self._state: ChainState | None = None

    def state(self) -> ChainState:
        """Return the state of the trail, at most a minute old."""
        # Whoever asks during a check waits for it instead of beginning a second one.
        with self._checking:
            now = self._clock()
            if self._state is None or now - self._state.checked_at >= EVERY_S:
                self._state = self._checked(now)
            return self._state

    def _checked(self, now: float) -> ChainState:
        try:
            return ChainState(self._archive.verify(self._check), "", now)
        except AuditBroken as broken:
            return ChainState(0, broken.message, now)
