"""One attempt in a thread of its own, whose end another thread can wait for.

RQ's monitor raises exceptions in the main thread at any moment, also while it waits; it can then
wait again.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from threading import Thread

from worker.process.attempt_server import ChildLost


class AttemptThread(Thread):
    """One attempt, beside RQ's monitor: the monitor's alarms interrupt the main thread alone."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="attempt", daemon=True)
        self.error: Exception | None = None
        self._work = work
        self._end, self._ended = os.pipe()

    @property
    def lost(self) -> bool:
        """Whether the attempt ended with its child."""
        return isinstance(self.error, ChildLost)

    def run(self) -> None:
        """Run the attempt to its end; the outermost loop of this thread."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - kept for whoever waits
            self.error = error
        finally:
            os.close(self._ended)

    def wait(self) -> None:
        """Wait for the end; may be interrupted by a signal's exception, and called again."""
        select.select([self._end], [], [])

    def close(self) -> None:
        """Free what waiting needed."""
        self.join()
        os.close(self._end)
