"""The threads of an attempt: its own, whose end another thread can wait for, and its reports'.

RQ's monitor raises exceptions in the main thread at any moment, also while it waits; it can then
wait again.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from threading import Thread

from worker.process.attempts.attempt_server import ChildLost


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


class ProgressReports:
    """Sends one report at a time; what the store says to it is raised by whatever comes next."""

    def __init__(self, send: Callable[[int, int | None, str], None]) -> None:
        self._send = send
        self._sending: Thread | None = None
        self._error: Exception | None = None

    def report(self, done: int, total: int | None, unit: str) -> None:
        """Begin to send a report, once the one before has arrived; raises what that one met."""
        self.wait()
        # A daemon: a store that never answers must not keep the process.
        self._sending = Thread(target=self._run, args=(done, total, unit), daemon=True)
        self._sending.start()

    def wait(self) -> None:
        """Wait until nothing is on its way; raises Canceled, Superseded, StoreError."""
        if self._sending is None:
            return

        self._sending.join()
        self._sending = None

        if self._error is not None:
            raise self._error

    def _run(self, done: int, total: int | None, unit: str) -> None:
        try:
            self._send(done, total, unit)
        except Exception as error:  # noqa: BLE001 - kept for the thread that waits
            self._error = error
