"""X-6: hosts that share no disk, with the media in a bucket."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.backing import BUCKET, backing
from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, pick_victim, running_stack, stopwatch
from tests.worker.workers import Bench, eventually
from worker.contract.jobs import FINAL, JobRecord
from worker.contract.requests import JobPayload, JobRequest

HOSTS = ("a", "b")
JOBS = 40
VIDEOS = 6
KILL_EVERY_S = 1.5
KILLS = 8
VIDEO_BYTES = 15 << 20
STARTS = 15
# A fifth more is a fetch on a local network; without the cache it would be several times as long.
STARTS_BAR = 1.2


@dataclass
class Tally:
    """What went wrong on one kind of media."""

    lost: int = 0
    wrong: int = 0
    left: int = 0
    told: int = 0
    starts_s: list[float] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.lost + self.wrong + self.left + self.told


@bar("X-6")
def two_hosts_without_a_shared_disk() -> Figure:
    """Two workers and an API, each with a disk of its own, the media in a bucket of an S3 server;
    and the same with one directory. Workers are killed while jobs and long videos run: jobs that
    are lost, results that are not their input's, objects that nobody owns, and children that know
    the bucket's keys. Then how long jobs with one input of 15 MB take, over the directory's time.
    """
    with stopwatch(300):
        directory = _directory_run()
        bucket = _bucket_run()

    # Medians: the first job of each host fetches the input, the others find it.
    ratio = statistics.median(bucket.starts_s) / statistics.median(directory.starts_s)
    print(f"a job with 15 MB takes {ratio:.2f} of the time with a directory")
    faults = directory.faults + bucket.faults
    bound = f"0, a 15 MB input <= {STARTS_BAR} of a directory's time"

    return Figure(faults, "faults", bound, faults == 0 and ratio <= STARTS_BAR)


def _directory_run() -> Tally:
    with running_stack() as here:
        return _run(here, dict.fromkeys(HOSTS, here.bench.data_dir), {})


def _bucket_run() -> Tally:
    with backing({BUCKET}) as server, running_stack() as here:
        assert server is not None
        tally = _run(here, {host: here.directory / host for host in HOSTS}, server.environment)
        # What is left belongs to results and uploads that have not expired yet.
        known = {job.id for job in _all_jobs(here.bench)}
        names = [name for name in server.names(here.bench.media) if "/jobs/" in name]
        tally.left = sum(name.split("/jobs/")[1].split("/")[0] not in known for name in names)
        parts = sum("/parts/" in name for name in names)
        print(f"bucket: {len(names)} objects of jobs, {tally.left} of nobody, {parts} parts")
        tally.left += parts

        return tally


def _run(here: Stack, data: dict[str, Path], environment: dict[str, str]) -> Tally:
    stores = here.bench.stores
    # This process puts uploads in, as the API would.
    stores.media.installation.join()

    for host, directory in data.items():
        directory.mkdir(exist_ok=True)
        here.add_worker(host, data=str(directory))
    here.await_workers(len(HOSTS))

    tally = Tally(told=_children_with_keys(here, environment))
    jobs = [here.bench.submit(body=f"input {n}".encode()) for n in range(JOBS)]
    jobs += [here.bench.submit("swap_video", sleep_s=0.2) for _ in range(VIDEOS)]
    dice = random.Random(7)

    for _ in range(KILLS):
        time.sleep(KILL_EVERY_S)
        pick_victim(here.keeper, dice, "")

    eventually(lambda: all(_ended(here, job) for job in jobs), 120, "the end of all jobs", 0.5)
    ended = [here.bench.get(job) for job in jobs]
    tally.lost = sum(job.status != "succeeded" for job in ended)
    tally.wrong = sum(not _is_right(here.bench, job) for job in ended if job.result)

    # As the parts of one video: each host fetches the input once, and has it for the others.
    video = here.bench.upload(body=os.urandom(VIDEO_BYTES))
    for _ in range(STARTS):
        payload = JobPayload(kind="analysis", tenant="acme", input_id=video)
        job = stores.jobs.admit(JobRequest(payload, metadata={"times": 0})).job
        stores.queue.deliver("video")
        done = here.bench.wait_for(job, timeout_s=60)
        tally.starts_s.append((done.finished_at or 0.0) - (done.started_at or 0.0))

    place = "bucket" if here.bench.media else "directory"
    print(
        f"{place}: {len(jobs)} jobs, {KILLS} kills, {tally.lost} lost, {tally.wrong} wrong results,"
        f" {tally.told} children with keys;"
        f" 15 MB in {statistics.median(tally.starts_s) * 1000:.0f} ms, at first in"
        f" {max(tally.starts_s) * 1000:.0f} ms",
        flush=True,
    )
    return tally


def _ended(here: Stack, job: JobRecord) -> bool:
    return here.bench.get(job).status in FINAL


def _is_right(bench: Bench, job: JobRecord) -> bool:
    """Whether the result's bytes have the hash that the record says."""
    content = bench.result(job)
    return job.result is not None and hashlib.sha256(content).hexdigest() == job.result.sha256


def _all_jobs(bench: Bench) -> list[JobRecord]:
    return list(bench.stores.jobs.list("acme", limit=200).jobs)


def _children_with_keys(here: Stack, environment: dict[str, str]) -> int:
    """Count the workers' children that could find the bucket's keys in their environment."""
    if not environment:
        return 0

    secret = environment["AWS_SECRET_ACCESS_KEY"]
    children = [
        child
        for process in here.keeper.running.values()
        for child in psutil.Process(process.pid).children(recursive=True)
    ]
    return sum(secret in " ".join(child.environ().values()) for child in children)
