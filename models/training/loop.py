"""What every training needs: batches made ahead, a schedule, a loop, an end that loses nothing."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
Seen = TypeVar("Seen", contravariant=True)
Loss = TypeVar("Loss", covariant=True)

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

    def left_min(self, done: float) -> float:
        """Return the minutes that are left, where the share `done` took what was spent."""
        spent_min = self.spent_s / 60
        return spent_min / max(done, 1e-6) - spent_min


class Trains(Protocol[Seen, Loss]):
    """What a loop drives: a network, its optimiser and its schedule."""

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""

    def step(self, batch: Seen) -> Loss:
        """Do one update and return its loss."""

    def state(self) -> dict[str, Any]:
        """Return all that a run needs in order to go on."""


def run(
    trainer: Trains[T, Loss],
    batches: Iterable[T],
    path: Path,
    report: Callable[[list[Loss], float], None],
    log_every: int,
    save_every_s: float,
) -> None:
    """Train on batches until the schedule ends or SIGTERM comes.

    The state goes to `path`; `report` gets the losses of every `log_every` steps and the seconds
    they took.
    """
    saved = time.monotonic()
    logged = time.monotonic()
    recent: list[Loss] = []

    with termination() as stopped:
        for batch in batches:
            recent.append(trainer.step(batch))
            finished = trainer.progress >= 1 or bool(stopped)

            if len(recent) == log_every:
                report(recent, time.monotonic() - logged)
                logged = time.monotonic()
                recent = []

            # By the clock, since a step takes longer on some machines than a schedule can know.
            if finished or time.monotonic() - saved > save_every_s:
                _save(path, trainer.state())
                saved = time.monotonic()

            if finished:
                return


def _save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    # Written beside and renamed: an end in the middle of writing leaves the state before.
    torch.save(state, partial)
    partial.replace(path)


def add_arguments(parser: argparse.ArgumentParser, run: str, images: int, seed: int) -> None:
    """Add what every run is asked for at the command line, with these defaults."""
    parser.add_argument("--run", default=run)
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--minutes", type=float, default=0.0, help="end by time, not by images")
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that make batches; 0: what fits"
    )


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
