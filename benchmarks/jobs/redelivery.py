"""Bars R-2 and R-3: what was lost is soon delivered again, and each way to die has its test."""

from __future__ import annotations

import time

from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, running_stack, stopwatch
from benchmarks.suite import named, passed
from tests.worker.workers import eventually, kill_tree


@bar("R-2")
def lost_jobs_are_soon_delivered_again() -> Figure:
    """Re-delivery after a worker's kill (worst of 5), and the first job done after the store's
    return (worst of 3).
    """
    with stopwatch(180), running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name)

        here.await_workers(2)
        # Five kills and three returns; the worst of each counts.
        again = [_redelivery_s(here) for _ in range(5)]
        back = [_first_done_s(here) for _ in range(3)]

    print(f"re-delivered after {', '.join(f'{s:.1f}' for s in again)} s (bar 15)")
    print(
        f"first job done {', '.join(f'{s:.1f}' for s in back)} s after the store's return (bar 10)"
    )
    holds = max(again) <= 15 and max(back) <= 10
    return Figure(
        max(again), "s to re-delivery", "<= 15 s, and <= 10 s after the store's return", holds
    )


def _redelivery_s(here: Stack) -> float:
    job = here.bench.submit(sleep_s=30, steps=300)
    here.bench.wait_for(job, "running")
    # The worker that has the job, not any.
    victim = next(
        name for name in here.keeper.running if here.bench.runs(here.keeper.running[name].pid, job)
    )
    kill_tree(here.keeper.running[victim].pid)
    # The second attempt's beginning, not its end: that is the promise.
    took = eventually(lambda: here.bench.get(job).attempt == 2, 30, "second delivery")
    here.bench.stores.jobs.request_cancel(job.id)
    here.bench.wait_for(job, "canceled")
    here.await_workers(2)
    return took


def _first_done_s(here: Stack) -> float:
    jobs = [here.bench.submit(sleep_s=0.2) for _ in range(10)]
    here.bench.wait_for(jobs[0], "running", "succeeded")
    here.store.kill()
    # Long enough that workers notice and lose their connections.
    time.sleep(2.0)
    here.store.start()
    before = here.bench.counters().get("succeeded:analysis", 0)
    took = eventually(
        lambda: here.bench.counters().get("succeeded:analysis", 0) > before, 30, "first job"
    )

    # Waited for, so that the next round begins on an empty queue.
    for job in jobs:
        here.bench.wait_for(job, timeout_s=40)

    return took


# The rows of docs/jobs.md, by their words there.
ROWS = {
    "killed between pop and registration": (
        "test_a_job_popped_by_a_worker_that_died_before_registering_is_not_lost"
    ),
    "child killed": "test_a_job_whose_child_is_killed_is_done_by_a_new_child",
    "worker and child killed": (
        "test_a_job_whose_worker_and_child_are_killed_is_delivered_to_another"
    ),
    "store killed in the middle of a job": "test_the_store_may_die_in_the_middle_of_a_job",
    "poison job": "test_a_poison_job_is_tried_three_times_and_others_go_on",
    "stale attempt": "test_a_stale_attempt_changes_nothing",
}


@bar("R-3")
def each_way_to_die_has_its_regression_test() -> Figure:
    """The six rows of docs/jobs.md, each a test on a real store with real workers."""
    done = 0
    with stopwatch(240):
        for row, test in ROWS.items():
            figure = passed(*named("tests/worker/process/test_redelivery.py", test))
            done += figure.holds
            print(f"{row}: {'passed' if figure.holds else 'FAILED'}", flush=True)

    return Figure(done, f"of {len(ROWS)} passed", "all", done == len(ROWS))
