"""What the chaos run compares with: RQ as it comes, its default worker, its record the only one."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.job import Job

from benchmarks.stack import Keeper, pick_victim
from tests.material import ROOT
from tests.store_server import StoreServer


@dataclass(frozen=True)
class Losses:
    """What became of the jobs: `lost` are neither done, failed, nor anywhere in RQ's lists and
    registries.
    """

    accepted: int
    done: int
    failed: int
    stuck: int
    lost: int
    seconds: float


def work(directory: str, name: str, seconds: float) -> None:
    """Do a job of the comparison: the same small file work as ours."""
    time.sleep(seconds)
    (Path(directory) / name).write_text(hashlib.sha256(name.encode()).hexdigest())


def run_chaos(jobs: int, queues: int, bound_s: float, job_s: float, seed: int = 7) -> Losses:
    """Return what the same kills lose on plain RQ with one or two queues for its two workers."""
    with tempfile.TemporaryDirectory(prefix="lk-", ignore_cleanup_errors=True) as directory:
        done = Path(directory) / "done"
        done.mkdir()
        server = StoreServer(Path(directory))
        server.start()
        keeper = Keeper()
        redis = Redis.from_url(server.url)
        names = [f"q{index}" for index in range(queues)]

        try:
            for index in range(jobs):
                queue = Queue(names[index % queues], connection=redis)
                name = f"j{index}"
                queue.enqueue(work, str(done), name, job_s, job_id=name)

            for worker in range(2):
                keeper.keep(f"worker-{worker}", lambda: _worker(server.url, names, Path(directory)))

            seconds = _suffer(keeper, redis, names, done, jobs, bound_s, random.Random(seed))
            return _count(redis, names, done, jobs, seconds)
        finally:
            keeper.stop()
            redis.close()
            server.kill()


def doomed_worker(redis: Redis, names: list[str]) -> bool:
    """Pop as a worker does and die before registering; False when there was nothing to pop.

    One queue leaves a trace in RQ, several leave none.
    """
    queues = [Queue(name, connection=redis) for name in names]
    return Queue.dequeue_any(queues, None, connection=redis) is not None


def _suffer(
    keeper: Keeper,
    redis: Redis,
    names: list[str],
    done: Path,
    jobs: int,
    bound_s: float,
    dice: random.Random,
) -> float:
    began = time.monotonic()
    # The same beat as in our own run.
    next_kill = began + 1.5

    while time.monotonic() - began < bound_s and len(list(done.iterdir())) < jobs:
        for name, start in keeper.start.items():
            if keeper.running[name].poll() is not None:
                keeper.running[name] = start()

        if time.monotonic() >= next_kill:
            next_kill += 1.5
            pick_victim(keeper, dice, "worker")
            doomed_worker(redis, names)

        time.sleep(0.05)

    return time.monotonic() - began


def _count(redis: Redis, names: list[str], done: Path, jobs: int, seconds: float) -> Losses:
    finished = {path.name for path in done.iterdir()}
    held: set[str] = set()

    for queue in (Queue(name, connection=redis) for name in names):
        registries = (
            queue.started_job_registry,
            queue.scheduled_job_registry,
            queue.deferred_job_registry,
        )

        # Everywhere that RQ could find a job again, its intermediate list included.
        held |= set(queue.job_ids) | set(queue.intermediate_queue.get_job_ids())
        held |= {
            job_id for registry in registries for job_id in registry.get_job_ids(cleanup=False)
        }

    failed = {f"j{i}" for i in range(jobs) if _status(redis, f"j{i}") == "failed"} - finished
    # By what was written to disk: a job that RQ calls done is done if its file is there.
    lost = {f"j{i}" for i in range(jobs)} - finished - held - failed
    return Losses(
        jobs, len(finished), len(failed), len(held - finished - failed), len(lost), seconds
    )


def _status(redis: Redis, job_id: str) -> str:
    return (
        str(Job.fetch(job_id, connection=redis).get_status())
        if Job.exists(job_id, connection=redis)
        else "gone"
    )


def _worker(url: str, names: list[str], directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "rq.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "rq.cli", "worker", "--url", url, *names],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
