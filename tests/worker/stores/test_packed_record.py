"""What is left of a job ten minutes after its end: as little as a kilobyte, and all that a client
asks for.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from tests.clock import Clock
from tests.worker.stores.job_store_case import known_identity, known_upload
from worker.contract.jobs import JobRecord, JobResult, Problem, Task
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import UnknownJob
from worker.failures import FailureCode
from worker.stores.jobs.ended_records import EndedRecords
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore

RESULT = JobResult(
    sha256="0123456789abcdef" * 4,
    bytes=102_278,
    media_type="image/jpeg",
    suffix=".jpeg",
    width=800,
    height=800,
    frames=1,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(store: Redis, clock: Clock) -> JobStore:
    return JobStore(store, clock=clock)


def swap(jobs: JobStore, store: Redis) -> JobRecord:
    """Admit a swap whose identity and upload the store knows."""
    identity = known_identity(store)
    payload = JobPayload(
        kind="swap_image",
        tenant="acme",
        input_id=known_upload(store),
        assignments=(Assignment(identity_id=identity),),
        mark_id=559_545_853,
        trace={"traceparent": "00-7beaad4ae22e534eeb6d6d34971a3586-4d08886dbf5721a8-01"},
    )
    return jobs.admit(JobRequest(payload, input_bytes=72_045, metadata={"order": "№ 7"})).job


def report_on(job: JobRecord) -> JobReport:
    identity = job.payload.assignments[0].identity_id
    face = {
        "person_id": "p1",
        "identity_id": identity,
        "assignment": 0,
        "box": [242.1, 216.3, 318.6, 357.1],
        "frames_seen": 1,
        "frames_swapped": 1,
        "frames_skipped": {},
        "identity_similarity": 0.8504596948623657,
    }
    assignment = {"index": 0, "face": "largest", "identity_id": identity, "status": "swapped"}
    timings = {"queue_ms": 16.54648780822754, "swap_ms": 151.80141999917396, "total_ms": 574.2}

    return JobReport(
        {"faces": [face], "quality": 1.0, "notes": [], "assignments": [assignment]}, timings
    )


def done(jobs: JobStore, store: Redis, clock: Clock) -> JobRecord:
    """Return a job that has just succeeded."""
    job = swap(jobs, store)
    attempts = JobAttempts(jobs, clock)
    attempts.begin(Task(job.id, 1), "by hand")
    attempts.progress(Task(job.id, 1), 1, 1, "image")
    attempts.commit(Task(job.id, 1), RESULT, report_on(job))
    return jobs.get(job.id)


def bytes_of(store: Redis, job_id: str) -> int:
    """Return what the store needs for everything that is named after a job."""
    names = [name for name in store.scan_iter(count=1000) if job_id.encode() in name]
    return sum(store.memory_usage(name, samples=0) for name in names)


def test_a_job_is_packed_ten_minutes_after_its_end(
    jobs: JobStore, store: Redis, clock: Clock
) -> None:
    before = done(jobs, store, clock)
    assert EndedRecords(jobs).pack_settled() == 0

    large = bytes_of(store, before.id)
    clock.now += 600
    assert EndedRecords(jobs).pack_settled() == 1
    assert EndedRecords(jobs).pack_settled() == 0

    after = jobs.get(before.id)
    assert replace(after, payload=before.payload) == before
    assert bytes_of(store, before.id) <= 1024 < large
    assert 0 < store.ttl(f"lk:job:{before.id}") <= jobs.limits.record_ttl_s
    assert [job.id for job in jobs.list("acme").jobs] == [before.id]


def test_a_job_that_is_not_over_is_not_packed(jobs: JobStore, store: Redis, clock: Clock) -> None:
    swap(jobs, store)
    clock.now += 10_000
    assert EndedRecords(jobs).pack_settled() == 0


def test_a_packed_job_can_be_deleted(jobs: JobStore, store: Redis, clock: Clock) -> None:
    job = done(jobs, store, clock)
    clock.now += 600
    EndedRecords(jobs).pack_settled()
    jobs.delete(job.id)

    with pytest.raises(UnknownJob):
        jobs.get(job.id)

    identity = job.payload.assignments[0].identity_id
    assert not store.exists(f"lk:identity:{identity}:jobs", f"lk:media:{job.payload.input_id}:jobs")
    assert not store.zcard("lk:expiry")


def test_a_packed_dead_letter_keeps_its_input_and_can_be_done_again(
    jobs: JobStore, store: Redis, clock: Clock
) -> None:
    job = swap(jobs, store)
    attempts = JobAttempts(jobs, clock)
    attempts.begin(Task(job.id, 1), "by hand")
    problem = Problem(FailureCode.ATTEMPTS_EXHAUSTED, "It was tried three times.")
    attempts.fail(Task(job.id, 1), problem, dead=True)
    clock.now += 600
    EndedRecords(jobs).pack_settled()
    holds = f"lk:media:{job.payload.input_id}:holds"
    assert store.smembers(holds) == {job.id.encode()}

    again = jobs.requeue(job.id)
    assert again.requeued_from == job.id
    assert (again.metadata, again.payload.assignments) == (job.metadata, job.payload.assignments)
    assert store.smembers(holds) == {again.id.encode()}
