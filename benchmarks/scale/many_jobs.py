"""X-8 and X-10: what many active and many finished jobs cost the store."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from benchmarks.bar import Figure, bar
from benchmarks.stack import stopwatch
from service.gauges import Collector
from tests.store_server import StoreServer
from worker.composition import Stores, open_stores
from worker.contract.jobs import JobResult, Task
from worker.contract.requests import JobPayload, JobRequest
from worker.process.upkeep.reconciler import Reconciler
from worker.settings import JobSettings, WorkerSettings
from worker.stores.jobs.deliveries import rq_id
from worker.stores.jobs.job_records import JobReport
from worker.stores.outbox import Outbox

ACTIVE = 50_000
TENANTS = 10_000
WORKERS = 200  # tasks that run meanwhile
# A fiftieth of the second that lies between two ticks.
TICK_MS = 20.0
DELIVER_MS = 0.2
METRICS_MS = 10.0
ROUNDS = 51

FINISHED = 2_000
KEPT_BYTES = 3000
HOUR_S = 3600.0
# An image of a group: three people, each with what a report says of them.
REPORT = JobReport(
    {
        "faces": [
            {
                "person_id": f"p{number}",
                "box": [103, 220, 511, 702],
                "similarity": 0.8123,
                "identity": "idn_" + "0" * 26,
                "yaw": -12.5,
            }
            for number in range(3)
        ],
        "pack": "open@0123456789ab",
        "counters": {"models_loaded": 0, "frames": 1, "faces": 3},
    },
    dict.fromkeys(("queue_ms", "decode_ms", "swap_ms", "encode_ms", "total_ms"), 123.456),
)


@bar("X-8")
def work_grows_with_changes() -> Figure:
    """50,000 active jobs of 10,000 tenants, 200 of them running: the reconciler's tick, a delivery
    and a scrape, each a median; and the same of a tenth of the jobs, to show what grows.
    """
    with stopwatch(400), _stores() as stores:
        # On one store, so that the second size includes the first.
        small = _timed(stores, ACTIVE // 10)
        large = _timed(stores, ACTIVE - ACTIVE // 10)

    bounds = (TICK_MS, DELIVER_MS, METRICS_MS)
    share = max(took / bound for took, bound in zip(large, bounds, strict=True))
    # Both sizes are printed: a time that grows with the number stored is what the bar looks for.
    for name, few, many, bound in zip(
        ("tick", "deliver", "/metrics"), small, large, bounds, strict=True
    ):
        print(f"{name}: {few:.2f} ms at {ACTIVE // 10:,}, {many:.2f} ms at {ACTIVE:,} (<= {bound})")

    return Figure(share, "of the times allowed", "<= 1", share <= 1)


@bar("X-10")
def a_finished_job_is_small() -> Figure:
    """2,000 image jobs with a report on three faces, ended an hour ago: bytes of the store each,
    by its own account, after housekeeping has done what it does.
    """
    with stopwatch(200), _stores() as stores:
        redis = stores.jobs.redis
        before = _used_bytes(redis)
        for number in range(FINISHED):
            _finish(stores, f"tenant{number % 50}")

        # What is kept for an hour goes: the bar is about what stays.
        _pass_an_hour(redis)
        later = Reconciler("bench", stores, clock=lambda: time.time() + HOUR_S)
        # Three ticks: one packs, one clears, one finds nothing.
        for _ in range(3):
            later.tick()

        each = (_used_bytes(redis) - before) / FINISHED
        records = [redis.memory_usage(key) for key in redis.scan_iter("lk:job:job_*", count=1000)]
        print(
            f"{len(records)} keys of jobs, {sum(filter(None, records)) / FINISHED:.0f} bytes each"
        )

    return Figure(each, "bytes a finished job", f"<= {KEPT_BYTES}", each <= KEPT_BYTES)


def _pass_an_hour(redis: Redis) -> None:
    """Remove what the store would have removed by then."""
    for key in redis.scan_iter("*", count=1000):
        if 0 < redis.pttl(key) <= HOUR_S * 1000:
            redis.delete(key)


def _timed(stores: Stores, more: int) -> tuple[float, float, float]:
    """Add jobs; the medians of a tick, a delivery and a scrape in milliseconds."""
    for number in range(more):
        payload = JobPayload(kind="analysis", tenant=f"tenant{number % TENANTS}")
        stores.jobs.admit(JobRequest(payload))

    while len(stores.jobs.lines.handed_out("video")) < WORKERS:
        _begin(stores, stores.attempts.deliver("video"))

    reconciler = Reconciler("bench", stores)
    outbox = Outbox(stores.jobs.redis)
    scrape = Collector(stores.jobs, stores.queue, stores.media, stores.identities, outbox, {})
    tick_ms = _median_ms(reconciler.tick)
    metrics_ms = _median_ms(lambda: list(scrape.collect()))
    deliver_ms = statistics.median(_deliveries_ms(stores))

    return tick_ms, deliver_ms, metrics_ms


def _begin(stores: Stores, tasks: Sequence[Task]) -> None:
    """Let a worker have tasks, in RQ's books too, where the reconciler looks."""
    busy = {f"{rq_id(task)}:bench": time.time() + HOUR_S for task in tasks}
    for task in tasks:
        stores.attempts.begin(task, "bench")
    if busy:
        stores.jobs.redis.zadd("rq:wip:video", busy)


def _deliveries_ms(stores: Stores) -> Iterator[float]:
    """Deliver one task after another, each time with room for one."""
    waiting = list(stores.jobs.lines.handed_out("video"))
    begun = {task.id for task in stores.jobs.lines.active() if task.state == "running"}
    queued = [task for task in waiting if task.id not in begun]

    for _ in range(ROUNDS):
        _begin(stores, queued[:1])
        began = time.perf_counter()
        queued = [*queued[1:], *stores.attempts.deliver("video")]
        yield (time.perf_counter() - began) * 1000

    # What was delivered past RQ would be missed by the next tick, and delivered again.
    _begin(stores, queued)


def _median_ms(step: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        times.append((time.perf_counter() - began) * 1000)

    return statistics.median(times)


def _finish(stores: Stores, tenant: str) -> None:
    payload = JobPayload(kind="swap_image", tenant=tenant, input_id=None)
    job = stores.jobs.admit(JobRequest(payload, metadata={"order": "4711"})).job
    (task,) = stores.attempts.deliver("image")
    stores.attempts.begin(task, "bench")
    result = JobResult("0" * 64, 200_000, "image/jpeg", ".jpg", 1200, 800, 1)
    for done in range(1, 4):
        stores.attempts.progress(task, done, 3, "face")
    stores.attempts.commit(Task(job.id, 1), result, REPORT)


def _used_bytes(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory_dataset"])


@contextmanager
def _stores() -> Iterator[Stores]:
    options = {"appendonly": "no"}  # a disk is slow, and its time does not grow with what is stored
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        server = StoreServer(Path(directory), options)
        server.start()
        try:
            # Out of the way: what is measured is the store, not its quotas.
            room = JobSettings(max_jobs=2 * ACTIVE, tenant_jobs=ACTIVE, tenant_running=2)
            settings = WorkerSettings(redis_url=server.url, data_dir=Path(directory), jobs=room)
            yield open_stores(settings)
        finally:
            server.kill()
