"""Bar G-6: what jobs cost the store: bytes once they are over, and round trips while they run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from functools import partial

from redis import Redis

from benchmarks.api.requests import register, swap
from benchmarks.bar import Figure, bar
from benchmarks.promises.slow_store import far_away
from benchmarks.stack import Stack, running_stack, stopwatch
from benchmarks.suite import passed
from tests.worker.workers import eventually
from worker.process.upkeep.expiry import ExpirySweep
from worker.stores.jobs.deliveries import QUEUES

JOBS = 40
AFTER_S = 10 * 60.0
# A store in another region.
LATENCY_S = 0.1
SWAPS = 7
# A million finished jobs in one gigabyte.
MOST_BYTES = 1024
# The swap itself and eight round trips.
MOST_S = 1.2


@bar("G-6")
def finished_jobs_cost_little_and_a_distant_store_is_bearable() -> Figure:
    """40 image swaps: bytes in the store ten minutes after their end, all keys counted (the clock
    is ours). Then image swaps over a store 100 ms away, and how many round trips that makes. Quotas
    on stored bytes are tests.
    """
    with stopwatch(280):
        with running_stack() as here:
            _serve(here, here.store.url)
            with here.client(timeout_s=70) as client:
                identity_id = register(client)
                near_s = _seconds(partial(swap, client, identity_id))
                bytes_each = _bytes_each(here, partial(swap, client, identity_id))

        with running_stack() as here, far_away(here.store.socket, LATENCY_S) as url:
            _serve(here, url)
            with here.client(timeout_s=70) as client:
                identity_id = register(client)
                far_s = _seconds(partial(swap, client, identity_id))

        quotas = passed("tests/service/intake/test_quota.py")

    trips = (far_s - near_s) / LATENCY_S
    print(f"each job leaves {bytes_each:.0f} bytes (at most {MOST_BYTES})")
    print(
        f"image swap: {near_s:.2f} s near, {far_s:.2f} s far, {trips:.0f} round trips (at most 8)"
    )
    holds = bytes_each <= MOST_BYTES and far_s <= MOST_S and quotas.holds

    return Figure(far_s, "s over 100 ms", "<= 1.2 s, jobs <= 1 KiB, quotas", holds)


def _serve(here: Stack, url: str) -> None:
    here.add_api(redis_url=url)
    here.add_worker("worker", "image", small=False, store=url)
    here.await_api()
    here.await_workers(1)
    with here.client() as client:
        eventually(lambda: client.get("/readyz").status_code == 200, 90, "a ready service")


def _seconds(request: partial[None]) -> float:
    """Return the median over some requests, after two that fill caches."""
    times = []
    for _ in range(2 + SWAPS):
        began = time.monotonic()
        request()
        times.append(time.monotonic() - began)

    return statistics.median(times[2:])


def _bytes_each(here: Stack, request: partial[None]) -> float:
    """Return by how much the store's keys grow with each job, ten minutes after its end."""
    redis = here.bench.stores.jobs.redis
    _let_time_pass(here)
    before = _sizes(redis)

    for _ in range(JOBS):
        request()

    _let_time_pass(here)
    after = _sizes(redis)
    grown = {name: size - before.get(name, 0) for name, size in after.items()}
    # The kinds of keys that cost most, to be looked at first.
    largest = sorted(grown.items(), key=lambda one: -one[1])[:6]
    print(", ".join(f"{name} {size / JOBS:.0f}" for name, size in largest))

    return sum(grown.values()) / JOBS


def _let_time_pass(here: Stack) -> None:
    """Do what the next ten minutes would: housekeeping by a later clock, keys that end by TTL."""
    time.sleep(2.0)  # the last job's end is written
    stores = here.bench.stores
    later = time.time() + AFTER_S
    sweep = ExpirySweep(stores.media, stores.identities, clock=lambda: later)
    sweep.run()

    redis = stores.jobs.redis
    for queue in QUEUES:  # RQ's maintenance forgets what has ended
        redis.zremrangebyscore(f"rq:finished:{queue}", 0, later)

    for key in redis.scan_iter(count=1000):
        is_renewed = key.startswith(b"rq:worker")  # with each heartbeat
        if not is_renewed and 0 < redis.ttl(key) <= AFTER_S:
            redis.delete(key)


def _sizes(redis: Redis) -> Mapping[str, int]:
    """Return the bytes of all keys, by the kind of key."""
    sizes: dict[str, int] = {}
    for key in redis.scan_iter(count=1000):
        # Ids have a prefix and an underscore, `job_...`: what is left is the kind.
        kind = ":".join(part for part in key.decode().split(":") if "_" not in part[:4])
        sizes[kind] = sizes.get(kind, 0) + (redis.memory_usage(key, samples=0) or 0)

    return sizes
