"""Jobs that end before they are done: canceled, past their deadline, handed back at a stop."""

from __future__ import annotations

import signal

from tests.worker.process.conftest import is_cleared
from tests.worker.workers import Bench
from worker.contract.requests import JobPayload, JobRequest


def test_a_running_job_that_is_canceled_ends_soon_and_leaves_nothing(bench: Bench) -> None:
    bench.start_worker()
    job = bench.submit(sleep_s=30, steps=300)
    bench.wait_for(job, "running")
    following = bench.submit()
    bench.stores.jobs.request_cancel(job.id)
    assert bench.wait_for(job, timeout_s=3).status == "canceled"
    assert bench.wait_for(following).status == "succeeded"
    assert is_cleared(bench, job.id)


def test_a_deaf_job_that_is_canceled_is_killed(bench: Bench) -> None:
    bench.start_worker()
    job = bench.submit(sleep_s=30, deaf=True)
    bench.wait_for(job, "running")
    bench.stores.jobs.request_cancel(job.id)
    assert bench.wait_for(job, timeout_s=4).status == "canceled"
    assert bench.wait_for(bench.submit()).status == "succeeded"
    assert is_cleared(bench, job.id)


def test_a_running_job_past_its_deadline_expires(bench: Bench) -> None:
    bench.start_worker()
    payload = JobPayload(kind="analysis", tenant="acme", input_id=bench.upload())
    request = JobRequest(payload, deadline_s=2.0, metadata={"sleep_s": 30, "steps": 300})
    job = bench.stores.jobs.admit(request).job
    ended = bench.wait_for(job, timeout_s=8)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("expired", "deadline_exceeded")
    assert is_cleared(bench, job.id)


def test_sigterm_lets_the_running_job_end(bench: Bench) -> None:
    worker = bench.start_worker()
    job = bench.submit(sleep_s=1.5, steps=30)
    waiting = bench.submit()
    bench.wait_for(job, "running")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    assert bench.get(job).status == "succeeded"
    assert bench.get(waiting).status == "queued"
    bench.start_worker()
    assert bench.wait_for(waiting).status == "succeeded"


def test_sigterm_hands_a_long_job_back_without_counting_a_try(bench: Bench) -> None:
    worker = bench.start_worker(drain_s="1")
    job = bench.submit(sleep_s=4, steps=40)
    bench.wait_for(job, "running")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    assert bench.stores.jobs.redis.hget(f"lk:task:{job.id}", "begun") == b"0"
    bench.start_worker()
    assert bench.wait_for(job).status == "succeeded"
