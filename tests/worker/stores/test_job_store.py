"""Admission, delivery and ends of jobs, each script on a real store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from worker.contract import (
    Assignment,
    IdempotencyKey,
    JobPayload,
    JobRequest,
    JobResult,
    Problem,
    Task,
)
from worker.errors import (
    Canceled,
    IdempotencyMismatch,
    IdentityErased,
    JobNotFinal,
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
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore

RESULT = JobResult(
    sha256="ab" * 32, bytes=3, media_type="image/png", suffix=".png", width=1, height=1, frames=1
)
REPORT = JobReport(
    report={"faces": [], "counters": {"models_loaded": 0, "swap_passes": 2}},
    timings={"total_ms": 1.0},
)


@pytest.fixture
def jobs(store: Redis) -> JobStore:
    return JobStore(store)


@pytest.fixture
def attempts(jobs: JobStore) -> JobAttempts:
    return JobAttempts(jobs)


def analysis(
    store: Redis, tenant: str = "acme", input_bytes: int = 10, **fields: object
) -> JobRequest:
    upload = new_id("upl")
    store.hset(f"lk:media:{upload}", "tenant", tenant)
    payload = JobPayload(kind="analysis", tenant=tenant, input_id=upload)

    return JobRequest(payload, input_bytes=input_bytes, **fields)  # type: ignore[arg-type]


def ticking() -> Callable[[], float]:
    """Return a clock that moves whenever it is read: lines go by age, and what comes in the same
    millisecond has none.
    """
    ticks = itertools.count()
    return lambda: 1_800_000_000 + 0.01 * next(ticks)


def deliver_one(attempts: JobAttempts) -> Task:
    (task,) = attempts.next_deliveries("video")
    return task


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
    assert attempts.begin(task, "w1").status == "running"
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


def test_a_late_twin_changes_nothing(store: Redis, jobs: JobStore, attempts: JobAttempts) -> None:
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
    assert attempts.next_deliveries("video") == []


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


def test_tenants_are_served_in_turn_and_urgent_jobs_first(store: Redis) -> None:
    clock = ticking()
    jobs = JobStore(store, JobLimits(window=6), clock)
    attempts = JobAttempts(jobs, clock)
    bulk = [jobs.admit(analysis(store, tenant="bulk")).job.id for _ in range(10)]
    urgent = jobs.admit(analysis(store, tenant="bulk", priority="high")).job.id
    small = [jobs.admit(analysis(store, tenant="small")).job.id for _ in range(2)]
    order = [task.id for task in attempts.next_deliveries("video")]
    assert order == [urgent, small[0], bulk[0], small[1], bulk[1], bulk[2]]


def test_a_tenant_takes_no_more_than_its_share_of_the_workers(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(window=4, tenant_running=2))
    attempts = JobAttempts(jobs)

    for _ in range(4):
        jobs.admit(analysis(store))

    first = attempts.next_deliveries("video")
    assert len(first) == 2

    for task in first:
        attempts.begin(task, "w1")

    assert attempts.next_deliveries("video") == []
    attempts.commit(first[0], RESULT, REPORT)
    assert len(attempts.next_deliveries("video")) == 1


def test_a_film_in_parts_runs_a_few_at_a_time_and_ends_with_its_mux(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job = jobs.admit(analysis(store)).job
    attempts.begin(main := deliver_one(attempts), "w1")
    attempts.fan_out(
        main, [f"s{i:03d}" for i in range(3)], '{"segments":3}', total=30, unit="frame", in_flight=2
    )

    with pytest.raises(Superseded):
        attempts.progress(main, 1, None, "frame")

    begun = []
    while tasks := attempts.next_deliveries("video"):
        assert len(tasks) <= 2
        for task in tasks:
            attempts.begin(task, "w1")
            begun.append(task.step)

            if task.step == "mux":
                assert attempts.spent(job.id) == {"swap_passes": 30}
                attempts.commit(task, RESULT, REPORT)
            else:
                attempts.progress(task, 10, None, "frame")
                attempts.finish_part(task, f'{{"sha256":"{task.step}"}}', {"swap_passes": 10})
                assert task.step in attempts.plan(job.id)[1]

    assert begun == ["s000", "s001", "s002", "mux"]
    done = jobs.get(job.id)
    assert (done.status, done.progress.done, done.progress.total) == ("succeeded", 30, 30)
    assert not store.hexists(f"lk:job:{job.id}", "plan")


def test_a_long_film_does_not_hold_up_a_later_one(store: Redis) -> None:
    clock = ticking()
    jobs = JobStore(store, JobLimits(window=1), clock)
    attempts = JobAttempts(jobs, clock)
    steps = [f"s{index:03d}" for index in range(9)]
    films = [jobs.admit(analysis(store)).job.id]
    done = []

    for _ in range(16):  # by one worker
        task = deliver_one(attempts)
        attempts.begin(task, "w1")

        if task.step is None:
            attempts.fan_out(task, steps, "{}", total=60, unit="frame", in_flight=2)
        else:
            attempts.finish_part(task, "{}")
            done.append(films.index(task.job_id))

        if len(done) == 2 and len(films) == 1:
            films.append(jobs.admit(analysis(store)).job.id)

    turn = done.index(1)
    assert turn <= 6  # two parts in flight, and two that came in while the later film was looked at
    assert sorted(done[turn : turn + 4]) == [0, 0, 1, 1]


def test_jobs_are_listed_newest_first_in_pages(store: Redis, jobs: JobStore) -> None:
    ids = []
    for moment in range(5):
        jobs_then = JobStore(store, clock=lambda moment=moment: 1_800_000_000.0 + moment)  # type: ignore[misc]
        ids.append(jobs_then.admit(analysis(store)).job.id)

    first = jobs.list("acme", limit=3)
    second = jobs.list("acme", limit=3, cursor=first.next_cursor)
    assert [job.id for job in (*first.jobs, *second.jobs)] == ids[::-1]
    assert second.next_cursor is None
    assert [job.id for job in jobs.list("acme", status="running").jobs] == []
    assert jobs.list("rival").jobs == []


def test_a_tenants_list_of_jobs_does_not_grow_for_ever(store: Redis) -> None:
    now = 1_800_000_000.0
    jobs = JobStore(store, clock=lambda: now)

    for _ in range(3):
        jobs.request_cancel(jobs.admit(analysis(store)).job.id)
        now += 4 * 86400

    assert store.zcard("lk:tenant:acme:jobs") == 3
    now += 20 * 86400
    jobs.request_cancel(jobs.admit(analysis(store)).job.id)
    assert store.zcard("lk:tenant:acme:jobs") == 1


def test_only_ended_jobs_can_be_deleted(store: Redis, jobs: JobStore) -> None:
    job = jobs.admit(analysis(store)).job
    with pytest.raises(JobNotFinal):
        jobs.delete(job.id)

    jobs.request_cancel(job.id)
    jobs.delete(job.id)

    with pytest.raises(UnknownJob):
        jobs.get(job.id)


def test_a_filter_that_matches_little_is_listed_in_short_pages(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(looked_at=3))
    oldest = jobs.admit(analysis(store)).job
    jobs.request_cancel(oldest.id)

    for _ in range(7):
        jobs.admit(analysis(store))

    pages = []
    cursor = None

    while True:
        page = jobs.list("acme", status="canceled", cursor=cursor)
        pages.append([job.id for job in page.jobs])

        if (cursor := page.next_cursor) is None:
            break

    assert pages == [[], [], [oldest.id]]
