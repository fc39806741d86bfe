"""What one tick of housekeeping brings back, without a worker in sight."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq.utils import now, utcformat

from tests.clock import Clock
from tests.vaults import vault_of
from worker.composition import Stores
from worker.contract.jobs import JobRecord, Task
from worker.contract.requests import JobPayload, JobRequest
from worker.process.upkeep.reconciler import CANCEL_GRACE_S, LEADER_TTL_MS, Reconciler
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore


@pytest.fixture
def stores(store: Redis, tmp_path: Path, clock: Clock) -> Stores:
    jobs = JobStore(store, clock=clock)
    attempts = JobAttempts(jobs, clock)
    media = MediaStore(DirectoryBlobs(tmp_path / "media", clock), tmp_path / "media", store, clock)
    identities = IdentityStore(store, vault_of(store), clock=clock)
    return Stores(jobs, attempts, media, identities, JobQueue(store, attempts))


@pytest.fixture
def reconciler(stores: Stores, clock: Clock) -> Reconciler:
    return Reconciler("leader", stores, clock)


def admitted(stores: Stores, deadline_s: float | None = None) -> JobRecord:
    payload = JobPayload(kind="analysis", tenant="acme")
    return stores.jobs.admit(JobRequest(payload, deadline_s=deadline_s)).job


def test_one_leads_until_it_is_gone(
    stores: Stores, reconciler: Reconciler, clock: Clock, store: Redis
) -> None:
    other = Reconciler("other", stores, clock)
    assert reconciler.tick()
    assert not other.tick()
    assert reconciler.tick()
    assert 0 < store.pttl("lk:leader") <= LEADER_TTL_MS
    store.delete("lk:leader")  # as its end does after the TTL
    assert other.tick()
    assert not reconciler.tick()


def test_an_accepted_job_that_nobody_enqueued_is_delivered(
    stores: Stores, reconciler: Reconciler
) -> None:
    job = admitted(stores)
    assert stores.queue.held("video") == frozenset()
    reconciler.tick()
    assert stores.queue.held("video") == {Task(job.id, 1)}


def test_a_delivery_lost_on_its_way_is_made_again_when_it_was_missed_twice(
    stores: Stores, reconciler: Reconciler
) -> None:
    job = admitted(stores)
    assert stores.attempts.deliver("video") == [Task(job.id, 1)]
    stores.jobs.redis.delete("rq:queue:video")  # and the worker that popped it dies
    reconciler.tick()
    assert stores.queue.held("video") == frozenset()
    reconciler.tick()
    assert stores.queue.held("video") == {Task(job.id, 2)}


def test_what_is_held_is_left_alone(stores: Stores, reconciler: Reconciler) -> None:
    job = admitted(stores)
    for _ in range(4):
        reconciler.tick()
    assert stores.queue.held("video") == {Task(job.id, 1)}


def test_a_job_past_its_deadline_is_ended(
    stores: Stores, reconciler: Reconciler, clock: Clock
) -> None:
    job = admitted(stores, deadline_s=5)
    clock.now += 6
    reconciler.tick()
    assert stores.jobs.get(job.id).status == "expired"


def test_a_cancellation_whose_worker_died_is_settled(
    stores: Stores, reconciler: Reconciler, clock: Clock
) -> None:
    job = admitted(stores)
    (task,) = stores.attempts.deliver("video")
    stores.jobs.redis.delete("rq:queue:video")
    stores.attempts.begin(task, "gone")
    assert stores.jobs.request_cancel(job.id).status == "canceling"
    clock.now += CANCEL_GRACE_S + 0.1
    reconciler.tick()
    assert stores.jobs.get(job.id).status == "canceled"


def test_a_worker_that_fell_silent_is_not_counted(stores: Stores, store: Redis) -> None:
    for name, age_s in (("quick", 2), ("silent", 60)):
        heartbeat = utcformat(now() - timedelta(seconds=age_s))
        store.hset(
            f"rq:worker:{name}", mapping={"queues": "video", "last_heartbeat": heartbeat, "pid": 1}
        )
        store.sadd("rq:workers", f"rq:worker:{name}")

    store.hset(
        "rq:worker:torn", "last_heartbeat", utcformat(now())
    )  # it slept until its record had expired
    store.sadd("rq:workers", "rq:worker:torn")
    assert [worker.name for worker in stores.queue.workers()] == ["quick"]
