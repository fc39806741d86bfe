"""Whose turn it is: tenants, urgency, shares of the workers, parts of long videos."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.clock import Clock
from tests.worker.stores.job_store_case import REPORT, RESULT, analysis, deliver_one, ticking
from worker.errors import (
    Superseded,
)
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_store import JobStore


def test_tenants_are_served_in_turn_and_urgent_jobs_first(store: Redis) -> None:
    clock = ticking()
    jobs = JobStore(store, JobLimits(window=6), clock)
    attempts = JobAttempts(jobs, clock)
    bulk = [jobs.admit(analysis(store, tenant="bulk")).job.id for _ in range(10)]
    urgent = jobs.admit(analysis(store, tenant="bulk", priority="high")).job.id
    small = [jobs.admit(analysis(store, tenant="small")).job.id for _ in range(2)]
    order = [task.id for task in attempts.deliver("video")]
    assert order == [urgent, small[0], bulk[0], small[1], bulk[1], bulk[2]]


def test_a_tenant_takes_no_more_than_its_share_of_the_workers(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(window=4, tenant_running=2))
    attempts = JobAttempts(jobs)

    for _ in range(4):
        jobs.admit(analysis(store))

    first = attempts.deliver("video")
    assert len(first) == 2

    for task in first:
        attempts.begin(task, "w1")

    assert attempts.deliver("video") == []
    attempts.commit(first[0], RESULT, REPORT)
    assert len(attempts.deliver("video")) == 1


def served_by_one_worker(store: Redis, seconds: float, waiting: int) -> list[str]:
    """Return whom one worker serves: `long`, whose tasks take so many seconds, and `short`, who
    comes later with jobs of half a second.
    """
    clock = Clock()
    jobs = JobStore(store, JobLimits(window=1), clock)
    attempts = JobAttempts(jobs, clock)
    for _ in range(6):
        jobs.admit(analysis(store, tenant="long"))

    served: list[str] = []
    while tasks := attempts.deliver("video"):
        tenant = attempts.begin(tasks[0], "w1").job.tenant
        if not served:
            for _ in range(waiting):
                jobs.admit(analysis(store, tenant="short"))

        clock.now += seconds if tenant == "long" else 0.5
        attempts.commit(tasks[0], RESULT, REPORT)
        served.append(tenant)

    return served


def test_tenants_share_the_workers_time_and_not_the_number_of_tasks(store: Redis) -> None:
    served = served_by_one_worker(store, seconds=5, waiting=8)
    # Each short one counts for a second, so that five of them come for each long one.
    assert served == ["long", *["short"] * 5, "long", *["short"] * 3, *["long"] * 4]


def test_a_tenant_with_very_long_tasks_is_not_shut_out(store: Redis) -> None:
    served = served_by_one_worker(store, seconds=600, waiting=40)
    assert served[:30].count("long") >= 3


def test_short_tasks_take_turns(store: Redis) -> None:
    served = served_by_one_worker(store, seconds=0.5, waiting=6)
    assert served[:11] == ["long", "short"] * 5 + ["long"]


def test_a_video_in_parts_runs_a_few_at_a_time_and_ends_with_its_mux(
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
    while tasks := attempts.deliver("video"):
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


def test_a_long_video_does_not_hold_up_a_later_one(store: Redis) -> None:
    clock = ticking()
    jobs = JobStore(store, JobLimits(window=1), clock)
    attempts = JobAttempts(jobs, clock)
    steps = [f"s{index:03d}" for index in range(9)]
    videos = [jobs.admit(analysis(store)).job.id]
    done = []

    for _ in range(16):  # by one worker
        task = deliver_one(attempts)
        attempts.begin(task, "w1")

        if task.step is None:
            attempts.fan_out(task, steps, "{}", total=60, unit="frame", in_flight=2)
        else:
            attempts.finish_part(task, "{}")
            done.append(videos.index(task.job_id))

        if len(done) == 2 and len(videos) == 1:
            videos.append(jobs.admit(analysis(store)).job.id)

    turn = done.index(1)
    assert (
        turn <= 6
    )  # two parts in flight, and two that came in while the later video was looked at
    assert sorted(done[turn : turn + 4]) == [0, 0, 1, 1]
