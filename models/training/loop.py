"""What every training loop needs: batches made ahead, and an end that loses nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

T = TypeVar("T")


def prefetched(make: Callable[[int], T], first: int = 0) -> Iterator[T]:
    """Yield make(first), make(first + 1), ... without end.

    Each is made in a second thread while the caller works on the one before.
    """
    # Numpy and OpenCV let go of the interpreter's lock, so that a thread is enough.
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, first)

        for step in count(first + 1):
            ready = ahead.result()
            ahead = pool.submit(make, step)
            yield ready


@contextmanager
def termination() -> Iterator[list[int]]:
    """Collect SIGTERM while training lasts, and give the signal back afterwards."""
    received: list[int] = []
    # Remembered rather than obeyed at once: the step that runs is finished and saved.
    before = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))

    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
