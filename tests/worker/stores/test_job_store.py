"""Admission, delivery and ends of jobs, each script on a real store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.worker.stores.job_store_case import REPORT, RESULT, analysis, deliver_one
from worker.contract.jobs import Problem, Task
from worker.contract.options import Assignment
from worker.contract.requests import IdempotencyKey, JobRequest
from worker.errors import (
    Canceled,
    IdempotencyMismatch,
    IdentityErased,
    QueueFull,
    QuotaExceeded,
    Superseded,
    UnknownIdentity,
    UnknownJob,
    UnknownMedia,
)
from worker.failures import FailureCode
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_store import JobStore


def test_an_admitted_job_is_queued_and_on_record(store: Redis, jobs: JobStore) -> None:
    job = jobs.admit(analysis(store, metadata={"order": 7})).job
    assert (job.status, job.kind, job.attempt, job.metadata) == (
        "queued",
        "analysis",
        1,
        {"order": 7},
    )

    assert jobs.get(job.id, "acme") == job
    assert jobs.queue_position(job) == 0


def test_a_foreign_job_reads_as_an_unknown_one(store: Redis, jobs: JobStore) -> None:
    job = jobs.admit(analysis(store)).job
    for job_id, tenant in ((job.id, "rival"), (new_id("job"), "acme"), ("job_../../etc", "acme")):
        with pytest.raises(UnknownJob):
            jobs.get(job_id, tenant)


def test_fifty_concurrent_equal_requests_with_one_key_make_one_job(
    store: Redis, jobs: JobStore
) -> None:
    request = analysis(store)
    key = IdempotencyKey("order-7", "f" * 64)

    with ThreadPoolExecutor(50) as pool:
        admissions = list(pool.map(lambda _: jobs.admit(request, key), range(50)))

    assert len({admission.job.id for admission in admissions}) == 1
    assert sum(not admission.replayed for admission in admissions) == 1


def test_the_same_key_with_another_body_is_refused(store: Redis, jobs: JobStore) -> None:
    jobs.admit(analysis(store), IdempotencyKey("order-7", "a" * 64))
    with pytest.raises(IdempotencyMismatch):
        jobs.admit(analysis(store), IdempotencyKey("order-7", "b" * 64))

    assert not jobs.admit(
        analysis(store, tenant="other"), IdempotencyKey("order-7", "b" * 64)
    ).replayed


def test_a_tenant_at_its_bound_is_refused_while_others_are_served(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(tenant_jobs=2, tenant_bytes=100, max_jobs=4))
    jobs.admit(analysis(store))

    with pytest.raises(QuotaExceeded):
        jobs.admit(analysis(store, input_bytes=95))

    jobs.admit(analysis(store))
    with pytest.raises(QuotaExceeded):
        jobs.admit(analysis(store))

    for _ in range(2):
        jobs.admit(analysis(store, tenant="other"))

    with pytest.raises(QueueFull):
        jobs.admit(analysis(store, tenant="third"))


def test_inputs_and_identities_must_be_the_tenants_own(store: Redis, jobs: JobStore) -> None:
    identity = new_id("idn")
    erased = new_id("idn")
    request = analysis(store)
    store.hset(f"lk:identity:{identity}", "tenant", "rival")
    store.hset(f"lk:erased:{erased}", "tenant", "acme")

    for wanted, error in (
        (identity, UnknownIdentity),
        (new_id("idn"), UnknownIdentity),
        (erased, IdentityErased),
    ):
        payload = request.payload.model_copy(
            update={"assignments": (Assignment(identity_id=wanted),)}
        )
        with pytest.raises(error):
            jobs.admit(JobRequest(payload))

    with pytest.raises(UnknownMedia):
        jobs.admit(JobRequest(request.payload.model_copy(update={"tenant": "rival"})))

    assert store.zcard("lk:jobs:active") == 0


def test_a_commit_ends_the_job_and_releases_what_it_held(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    task = deliver_one(attempts)
    assert attempts.begin(task, "w1").job.status == "running"
    attempts.progress(task, 5, 10, "frame")
    attempts.commit(task, RESULT, REPORT)
    done = jobs.get(job.id)
    assert (done.status, done.result, done.timings) == ("succeeded", RESULT, {"total_ms": 1.0})
    assert done.expires_at is not None
    assert store.hget("lk:bytes", "acme") == b"0"
    assert store.hmget("lk:stats", "engine:models_loaded", "engine:swap_passes") == [b"0", b"2"]
    leftovers = {key.decode() for key in store.keys("lk:*")} - {f"lk:media:{job.payload.input_id}"}
    assert not any(
        f"{part}:" in key + ":"
        for key in leftovers
        for part in ("line", "delivered", "out", "task", "active", "deadlines", "holds")
        if not key.endswith(":clock")
    ), leftovers


def test_a_stale_attempt_changes_nothing(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    first = deliver_one(attempts)
    attempts.begin(first, "w1")
    assert attempts.redeliver(first) == "waiting"
    second = deliver_one(attempts)
    assert second == Task(job.id, 2)
    attempts.begin(second, "w2")

    with pytest.raises(Superseded):
        attempts.progress(first, 1, None, "frame")

    with pytest.raises(Superseded):
        attempts.commit(first, RESULT, REPORT)

    attempts.commit(second, RESULT, REPORT)
    with pytest.raises(Superseded):
        attempts.commit(second, RESULT, REPORT)

    assert not attempts.fail(second, Problem(FailureCode.INTERNAL_ERROR, "late"))
    assert jobs.get(job.id).attempt == 2


def test_a_job_begun_three_times_becomes_a_dead_letter(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    for _ in range(3):
        task = deliver_one(attempts)
        attempts.begin(task, "w1")
        attempts.redeliver(task)

    failed = jobs.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.attempt, failed.error.code) == ("failed", 3, "attempts_exhausted")
    assert store.zrange("lk:dead", 0, -1) == [job.id.encode()]
    assert attempts.deliver("video") == []


def test_deliveries_that_no_worker_began_do_not_count_as_tries(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    for _ in range(5):
        assert attempts.redeliver(deliver_one(attempts)) == "waiting"

    attempts.begin(deliver_one(attempts), "w1")
    assert jobs.get(job.id).attempt == 6


def test_a_queued_job_is_canceled_at_once(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    waiting = jobs.admit(analysis(store)).job
    assert jobs.request_cancel(waiting.id).status == "canceled"
    delivered = jobs.admit(analysis(store)).job
    task = deliver_one(attempts)
    assert jobs.request_cancel(delivered.id).status == "canceled"

    with pytest.raises(Superseded):
        attempts.begin(task, "w1")


def test_a_running_job_hears_of_its_cancellation_and_cannot_succeed(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    task = deliver_one(attempts)
    attempts.begin(task, "w1")
    assert jobs.request_cancel(job.id).status == "canceling"

    with pytest.raises(Canceled):
        attempts.progress(task, 1, None, "frame")

    with pytest.raises(Canceled):
        attempts.commit(task, RESULT, REPORT)

    jobs.settle_cancel(job.id)
    assert jobs.get(job.id).status == "canceled"
    assert jobs.request_cancel(job.id).status == "canceled"


def test_a_job_past_its_deadline_expires_with_a_reason(store: Redis) -> None:
    now = 1_800_000_000.0
    jobs = JobStore(store, clock=lambda: now)
    job = jobs.admit(analysis(store, deadline_s=30.0)).job
    assert list(jobs.upkeep.past_deadline()) == []
    now += 31
    assert list(jobs.upkeep.past_deadline()) == [job.id]
    jobs.request_cancel(job.id, "deadline_exceeded")
    ended = jobs.get(job.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("expired", "deadline_exceeded")
