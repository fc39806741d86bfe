"""F5: deadlines, expiry and erasure do not need a worker, and are left to one that is there."""

from __future__ import annotations

import time
from pathlib import Path

from redis import Redis

from service.jobs.overdue import Overdue
from tests.clock import Clock
from tests.vaults import vault_of
from worker.contract.jobs import Task
from worker.contract.requests import JobPayload, JobRequest
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaFacts


def test_what_is_due_ends_without_a_worker(store: Redis, tmp_path: Path) -> None:
    clock = Clock(time.time())
    jobs = JobStore(store, clock=clock)
    media = MediaStore(DirectoryBlobs(tmp_path, clock), tmp_path, store, clock)
    identities = IdentityStore(store, vault_of(store), clock=clock)
    overdue = Overdue(jobs, JobQueue(store, JobAttempts(jobs)), media, identities, clock)
    writer = media.begin_write("acme")
    writer.write(b"input")
    upload = writer.commit(MediaFacts("image/jpeg", ".jpg"), ttl_s=100)
    payload = JobPayload(kind="analysis", tenant="acme", input_id=upload.id)
    job = jobs.admit(JobRequest(payload, deadline_s=50)).job
    person = IdentityRecord(new_id("idn"), "acme", "open@x", clock.now, expires_at=clock.now + 100)
    identities.put(person, b"code", b"weights")

    assert overdue.tick()
    assert jobs.get(job.id).status == "queued"
    clock.now += 51
    overdue.tick()
    assert jobs.get(job.id).status == "expired"
    assert media.blobs.exists(media.name(upload))
    clock.now += 50
    overdue.tick()
    assert not list(tmp_path.rglob("*.jpg"))
    assert store.exists(f"lk:erased:{person.id}")

    store.set("lk:leader", "a worker", px=5000)
    assert not overdue.tick()


def test_a_cancellation_that_no_worker_carries_out_is_ended(store: Redis, tmp_path: Path) -> None:
    clock = Clock(time.time())
    jobs = JobStore(store, clock=clock)
    attempts = JobAttempts(jobs)
    media = MediaStore(DirectoryBlobs(tmp_path, clock), tmp_path, store, clock)
    overdue = Overdue(
        jobs, JobQueue(store, attempts), media, IdentityStore(store, vault_of(store)), clock
    )
    job = jobs.admit(JobRequest(JobPayload(kind="analysis", tenant="acme"))).job
    attempts.begin(Task(job.id, 1), "a worker that died")
    jobs.request_cancel(job.id)
    overdue.tick()
    assert jobs.get(job.id).status == "canceling"
    clock.now += 61
    overdue.tick()
    assert jobs.get(job.id).status == "canceled"
