"""Lists of jobs: pages, filters, bounds, deletion."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.worker.stores.job_store_case import analysis
from worker.errors import (
    JobNotFinal,
    UnknownJob,
)
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_store import JobStore


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
