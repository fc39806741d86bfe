"""What every training loop needs: batches made ahead, a schedule, and an end that loses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")

AHEAD = 4  # batches that each process makes ahead: as many as bridge a slow one
# Making a sample takes a CPU 30 ms and training on it a GPU one: half of the cores make samples,
# the others are for what runs beside it.
WORKERS_SHARE = 0.5


def workers_for(device: torch.device) -> int:
    """Return how many processes make batches: none beside a CPU that trains, for it needs the
    cores itself.
    """
    return max(1, int(WORKERS_SHARE * (os.cpu_count() or 1))) if device.type == "cuda" else 0


def prefetched(make: Callable[[int], T], first: int = 0, workers: int = 0) -> Iterator[T]:
    """Yield make(first), make(first + 1), ... in this order without end.

    They are made by `workers` processes or, where that is 0, each in a second thread while the
    caller works on the one before.
    """
    if workers:
        steps: Any = count(first)  # an endless sampler
        yield from DataLoader(
            _Steps(make),
            sampler=steps,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=AHEAD,
            worker_init_fn=_alone,
            # The material is shared with the processes, not copied to them.
            multiprocessing_context="fork",
        )

    # Numpy and OpenCV let go of the interpreter's lock, so that a thread is enough.
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, first)

        for step in count(first + 1):
            ready = ahead.result()
            ahead = pool.submit(make, step)
            yield ready


class _Steps(Dataset[T], Generic[T]):
    def __init__(self, make: Callable[[int], T]) -> None:
        self.make = make

    def __getitem__(self, step: int) -> T:
        return self.make(step)


def _alone(_worker: int) -> None:
    """Let a process hear no signal but its parent's own, which finishes its step before it ends.

    OpenCV's threads are the parent's to set: after a fork they are gone, and asking for others
    waits for them without end.
    """
    os.setpgrp()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass
class Schedule:
    """How much of a run is done: by images or, where `minutes` are given, by time."""

    images: int
    minutes: float = 0.0
    earlier_s: float = 0.0  # spent before the run was stopped and went on
    _began: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return self.earlier_s + time.monotonic() - self._began

    def done(self, images: int) -> float:
        """Return the share 0..1 that is done after this many images."""
        share = self.spent_s / 60 / self.minutes if self.minutes else images / self.images
        return min(1.0, share)


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
