"""Decode, swap and encode at the same time: one thread each, bounded queues between, one way to
stop them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

from worker.video.channel import Channel, EndOfChannel

T = TypeVar("T")
U = TypeVar("U")

QUEUED_FRAMES = 6  # enough to ride over an expensive frame; 1080p costs 3 MB each
# How late a cancellation is heard at most, beside the frame in progress.
HEARTBEAT_S = 0.25
# A decoder in the middle of a broken packet takes this long at worst; then the job ends without it.
JOIN_S = 5.0


@dataclass
class StageTimes:
    """Seconds for which each stage was at work, waiting for the others left out."""

    decode_s: float = 0.0
    swap_s: float = 0.0
    encode_s: float = 0.0


class Pipeline(Generic[T, U]):
    """Moves items from `source` through `work` to `sink`, each in its own thread.

    `work` runs in the caller's thread; it may hold items back and return several later, `rest`
    those it still holds at the end. `watch` is called there after every item and at least every
    quarter second; what it raises (a cancellation, a deadline) ends all three threads, as does an
    error in any of them.
    """

    def __init__(
        self,
        source: Generator[T, None, None],
        work: Callable[[T], Sequence[U]],
        sink: Callable[[U], None],
        watch: Callable[[int], None],
        *,
        rest: Callable[[], Sequence[U]] = tuple,
        join_s: float = JOIN_S,
    ) -> None:
        self._source = source
        self._work = work
        self._rest = rest
        self._sink = sink
        self._watch = watch
        self._join_s = join_s
        self._decoded: Channel[T] = Channel(QUEUED_FRAMES)
        self._worked: Channel[U] = Channel(QUEUED_FRAMES)
        self.times = StageTimes()
        self._done = 0

    def run(self) -> int:
        """Run to the end; the number of items that went through.

        Raises the first error of any stage.
        """
        threads = [
            # Daemons: a stage that hangs in a library must not keep the process.
            threading.Thread(target=stage, daemon=True)
            for stage in (self._feed, self._drain)
        ]
        for thread in threads:
            thread.start()

        try:
            self._swap_all()
            self._join(threads[1])
        except BaseException as failure:
            # Both: each stage may be waiting on either side.
            for channel in (self._decoded, self._worked):
                channel.abort(failure)

            for thread in threads:
                thread.join(self._join_s)

            raise

        return self._done

    def _swap_all(self) -> None:
        while True:
            self._watch(self._done)
            try:
                item = self._decoded.get(HEARTBEAT_S)
            except TimeoutError:
                continue
            # The only way in which a stage ends well.
            except EndOfChannel:
                # What the swapper still holds belongs before the end.
                self._hand_over_all(self._rest)
                self._worked.close()
                return

            self._hand_over_all(partial(self._work, item))

    def _hand_over_all(self, work: Callable[[], Sequence[U]]) -> None:
        started = perf_counter()
        results = work()
        self.times.swap_s += perf_counter() - started

        for result in results:
            self._hand_over(result)
            self._done += 1

    def _hand_over(self, result: U) -> None:
        while True:
            try:
                return self._worked.put(result, HEARTBEAT_S)
            except TimeoutError:
                self._watch(self._done)

    def _join(self, drain: threading.Thread) -> None:
        # In short waits, so that a cancellation during the last frames is heard.
        while drain.is_alive():
            drain.join(HEARTBEAT_S)
            self._watch(self._done)
        self._worked.raise_failure()

    def _feed(self) -> None:
        try:
            # The generator holds the container: it must be closed by the thread that runs it.
            with closing(self._source):
                started = perf_counter()
                for item in self._source:
                    self.times.decode_s += perf_counter() - started
                    self._decoded.put(item)
                    started = perf_counter()

            self._decoded.close()
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that owns the job
            self._decoded.abort(failure)

    def _drain(self) -> None:
        try:
            while True:
                item = self._worked.get()
                started = perf_counter()
                self._sink(item)
                self.times.encode_s += perf_counter() - started
        except EndOfChannel:
            pass
        except BaseException as failure:  # noqa: BLE001
            self._worked.abort(failure)
