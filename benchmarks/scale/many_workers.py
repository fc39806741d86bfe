"""X-9: one long video on many workers."""

from __future__ import annotations

import time

from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, running_stack, stopwatch

WORKERS = 8
PARTS = 48
PART_S = 0.5  # sleep instead of computing, so that two cores are enough for eight workers
# Of eight: planning and joining are done by one, and deliveries take turns.
FASTER = 5.0


@bar("X-9")
def one_video_on_many_workers() -> Figure:
    """A video of 48 parts that sleep for half a second each, on one worker and on eight."""
    with stopwatch(180), running_stack() as here:
        here.add_worker("worker-0")
        here.await_workers(1)
        one_s = _seconds(here)

        for number in range(1, WORKERS):
            here.add_worker(f"worker-{number}")
        here.await_workers(WORKERS)
        many_s = _seconds(here)

    faster = one_s / many_s
    print(f"one worker {one_s:.1f} s, {WORKERS} workers {many_s:.1f} s")
    return Figure(faster, "times as fast", f">= {FASTER:.0f}", faster >= FASTER)


def _seconds(here: Stack) -> float:
    began = time.monotonic()
    job = here.bench.submit("swap_video", parts=PARTS, sleep_s=PART_S)
    ended = here.bench.wait_for(job, timeout_s=120)
    if ended.status != "succeeded":
        raise RuntimeError(f"the video ended as {ended.status}")

    return time.monotonic() - began
