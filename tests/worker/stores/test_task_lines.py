"""Lines and turns: what is asked of the store does not grow with what waits."""

from __future__ import annotations

from redis import Redis

from worker.contract.jobs import Task
from worker.contract.requests import JobPayload, JobRequest
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore
from worker.stores.tenants import TenantStore

FEW = JobLimits(tenant_running=1, window=8)


def submit(jobs: JobStore, tenant: str) -> str:
    return jobs.admit(JobRequest(JobPayload(kind="analysis", tenant=tenant))).job.id


def test_a_backlog_counts_what_waits_and_what_runs(store: Redis) -> None:
    jobs = JobStore(store, FEW)
    attempts = JobAttempts(jobs)
    for tenant in ("acme", "acme", "rival"):
        submit(jobs, tenant)

    first, second = attempts.deliver("video")
    backlog = jobs.lines.backlog("video")
    assert (backlog.queued, backlog.running) == (3, 0)

    attempts.begin(first, "w1")
    backlog = jobs.lines.backlog("video")
    assert (backlog.queued, backlog.running) == (2, 1)
    assert jobs.lines.handed_out("video") == {first, second}

    attempts.commit(first, None, JobReport({}, {}))
    assert jobs.lines.handed_out("video") == {second}
    assert jobs.lines.backlog("image").queued == 0


def test_a_task_that_comes_back_waits_again_since_it_first_did(store: Redis) -> None:
    now = 1_800_000_000.0
    jobs = JobStore(store, FEW, clock=lambda: now)
    attempts = JobAttempts(jobs)
    submit(jobs, "acme")
    (task,) = attempts.deliver("video")
    attempts.begin(task, "w1")
    assert attempts.redeliver(task) == "waiting"
    backlog = jobs.lines.backlog("video", now_s=now + 60)
    assert (backlog.queued, backlog.running) == (1, 0)
    assert 59 < backlog.oldest_age_s < 61


def test_a_tenant_at_its_share_is_out_of_the_turns_until_it_has_room(store: Redis) -> None:
    jobs = JobStore(store, FEW)
    attempts = JobAttempts(jobs)
    for _ in range(3):
        submit(jobs, "acme")

    (first,) = attempts.deliver("video")
    assert attempts.deliver("video") == []
    assert store.zcard("lk:turn:video") == 0

    submit(jobs, "rival")
    (of_rival,) = attempts.deliver("video")
    assert jobs.get(of_rival.job_id).tenant == "rival"

    attempts.begin(first, "w1")
    attempts.commit(first, None, JobReport({}, {}))
    (second,) = attempts.deliver("video")
    assert jobs.get(second.job_id).tenant == "acme"


def test_a_raised_share_is_noticed_at_once(store: Redis) -> None:
    jobs = JobStore(store, FEW)
    attempts = JobAttempts(jobs)
    for _ in range(2):
        submit(jobs, "acme")
    attempts.deliver("video")
    assert attempts.deliver("video") == []

    TenantStore(store).set_bounds("acme", {"max_running": 2})
    jobs.lines.take_turns("acme", "video")
    assert len(attempts.deliver("video")) == 1


def test_the_events_of_a_job_that_ended_stay_for_an_hour(store: Redis) -> None:
    jobs = JobStore(store)
    job_id = submit(jobs, "acme")
    assert store.ttl(f"lk:job:{job_id}:events") == -1
    jobs.request_cancel(job_id)
    assert 3590 < store.ttl(f"lk:job:{job_id}:events") <= 3600
    assert store.ttl(f"lk:job:{job_id}") > 7 * 86400


def planned(jobs: JobStore, attempts: JobAttempts, tenant: str, parts: int) -> str:
    """Submit a long video and cut it into parts, of which two stand in line."""
    job_id = jobs.admit(JobRequest(JobPayload(kind="swap_video", tenant=tenant))).job.id
    task = Task(job_id, 1)
    attempts.begin(task, "w0")
    attempts.fan_out(task, [f"s{n}" for n in range(parts)], "{}", parts, "frame", 2)
    return job_id


def test_parts_that_are_held_back_go_to_workers_that_nobody_else_needs(store: Redis) -> None:
    jobs = JobStore(store)
    attempts = JobAttempts(jobs)
    store.sadd("rq:workers:video", *range(6))
    first = planned(jobs, attempts, "acme", 10)
    delivered = attempts.deliver("video")
    assert [task.job_id for task in delivered] == [first] * 6
    for task in delivered:
        attempts.begin(task, "w")

    submit(jobs, "rival")
    attempts.finish_part(delivered[0], "{}")
    (next_one,) = attempts.deliver("video")
    assert jobs.get(next_one.job_id).tenant == "rival"


def test_videos_share_the_workers_that_nobody_else_needs(store: Redis) -> None:
    jobs = JobStore(store)
    attempts = JobAttempts(jobs)
    videos = [planned(jobs, attempts, tenant, 10) for tenant in ("acme", "rival")]
    store.sadd("rq:workers:video", *range(8))
    delivered = [task.job_id for task in attempts.deliver("video")]
    assert [delivered.count(video) for video in videos] == [4, 4]


def test_a_tenant_gets_no_more_parts_than_its_share(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(tenant_running=3, window=8))
    attempts = JobAttempts(jobs)
    planned(jobs, attempts, "acme", 10)
    store.sadd("rq:workers:video", *range(8))
    assert len(attempts.deliver("video")) == 3
    assert attempts.deliver("video") == []


def test_held_parts_of_a_video_that_ended_are_forgotten(store: Redis) -> None:
    jobs = JobStore(store)
    job_id = planned(jobs, JobAttempts(jobs), "acme", 10)
    assert store.zcard("lk:holding:video") == 1
    jobs.request_cancel(job_id)
    jobs.settle_cancel(job_id)
    assert store.zcard("lk:holding:video") == 0
