"""The short form of bar R-1: kills of everything, and still every accepted job ends once."""

from __future__ import annotations

import random
import time

from benchmarks.jobs.plain_rq import doomed_worker
from benchmarks.stack import pick_victim, running_stack
from tests.worker.workers import eventually
from worker.contract.jobs import FINAL


def test_every_accepted_job_ends_once_whatever_dies() -> None:
    dice = random.Random(7)
    with running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name)

        here.await_workers(2)
        jobs = [here.bench.submit(sleep_s=0.05) for _ in range(60)]

        for beat in range(4):
            time.sleep(1.5)
            if beat == 2:
                here.store.kill()
                here.store.start()

            pick_victim(here.keeper, dice, "worker")
            doomed_worker(here.bench.stores.jobs.redis, ["video"])

        eventually(
            lambda: all(here.bench.get(job).status in FINAL for job in jobs),
            90,
            "end of all jobs",
            poll_s=0.5,
        )
        ended = [here.bench.event_types(job.id).count("completed") for job in jobs]

    assert ended == [1] * len(jobs)
