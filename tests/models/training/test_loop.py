"""Batches made ahead by processes, and schedules by images and by time."""

from __future__ import annotations

import os
from itertools import islice

import pytest

torch = pytest.importorskip("torch")

from models.training.loop import Schedule, prefetched, workers_for  # noqa: E402


def _made(step: int) -> tuple[int, int]:
    return step, os.getpid()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_from_the_first_one_asked_for(workers: int) -> None:
    made = list(islice(prefetched(_made, first=5, workers=workers), 6))
    assert [step for step, _ in made] == [5, 6, 7, 8, 9, 10]
    makers = {process for _, process in made}
    assert len(makers) == max(1, workers)
    assert (os.getpid() in makers) == (workers == 0)


def test_a_failure_in_a_process_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(islice(prefetched(lambda step: 1 // (step - 3), workers=2), 6))


def test_a_schedule_counts_images_or_minutes() -> None:
    assert Schedule(images=200).done(50) == 0.25
    assert Schedule(images=200).done(900) == 1.0
    by_time = Schedule(images=200, minutes=2.0, earlier_s=60.0)
    assert by_time.done(0) == pytest.approx(0.5, abs=0.01)
    assert Schedule(images=200, minutes=1.0, earlier_s=90.0).done(0) == 1.0


def test_only_beside_a_gpu_do_processes_make_batches() -> None:
    assert workers_for(torch.device("cpu")) == 0
    assert workers_for(torch.device("cuda")) >= 1
