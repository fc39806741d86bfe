"""Bars R-1 to R-4: whatever dies, no accepted job is lost and nothing is done twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.jobs.plain_rq import Losses, doomed_worker, run_chaos
from benchmarks.stack import ROOT, Town, pick_victim, stopwatch, town
from tests.worker.workers import eventually, kill_tree
from worker.contract import FINAL
from worker.stores.jobs.job_queue import rq_queue

JOBS = 500
JOB_S = 0.05
PLAIN_JOBS = 150


@dataclass
class Tally:
    """What the chaos did and found."""

    accepted: dict[str, str] = field(default_factory=dict)
    worker_kills: int = 0
    popped_and_died: int = 0
    store_kills: int = 0
    api_kills: int = 0


@bar("R-1")
def no_accepted_job_is_lost_in_chaos() -> Figure:
    """500 jobs over HTTP.

    Every 1.5 s a worker tree dies, some after a pop, and store and API die 3 times each.
    """
    with stopwatch(420):
        with town() as here:
            tally, seconds, final, double, redeliveries = _our_chaos(here, bound_s=240)

        lost = len(tally.accepted) - final
        rows: list[Sequence[object]] = [
            (
                "this design",
                len(tally.accepted),
                final,
                lost,
                double,
                redeliveries,
                f"{seconds:.0f} s",
            ),
        ]

        for queues in (1, 2):
            plain = run_chaos(PLAIN_JOBS, queues, bound_s=60, job_s=JOB_S)
            rows.append((f"plain RQ, {queues} queue(s)", *_plain_row(plain)))

        print(
            f"kills: {tally.worker_kills} worker trees, {tally.popped_and_died} between pop and"
            " registration,"
        )
        print(f"       {tally.store_kills} of the store, {tally.api_kills} of the API")
        _print_table(
            ("", "accepted", "final", "lost", "double commits", "re-deliveries", "time"), rows
        )

    holds = len(tally.accepted) == JOBS and lost == 0 and double == 0
    return Figure(lost, "jobs lost", "0 lost, 0 double commits, accepted = final", holds)


def _our_chaos(here: Town, bound_s: float) -> tuple[Tally, float, int, int, int]:
    tally = Tally()
    over = threading.Event()
    dice = random.Random(7)

    for name in ("worker-a", "worker-b"):
        here.add_worker(name)

    here.add_api()
    here.await_api()
    here.await_workers(2)
    upload = here.bench.upload("acme", b"input")
    store = here.bench.shop.store
    client = here.client()
    began = time.monotonic()
    submitting = threading.Thread(target=_submit_all, args=(client, upload, tally, began + bound_s))
    killing = threading.Thread(target=_kill, args=(here, tally, dice, over, bound_s))
    submitting.start()
    killing.start()
    submitting.join()
    eventually(lambda: _unfinished(here) == 0, bound_s, "end of all jobs", poll_s=0.5)
    over.set()
    killing.join()
    seconds = time.monotonic() - began
    jobs = [store.get(job_id) for job_id in tally.accepted.values()]
    ended = [sum(event == "completed" for event in here.bench.event_types(job.id)) for job in jobs]
    final = sum(job.status in FINAL for job in jobs)
    print(
        "ended as:"
        f" { {status: sum(job.status == status for job in jobs) for status in sorted(FINAL)} }"
    )

    return tally, seconds, final, sum(count > 1 for count in ended), here.bench.redeliveries()


def _submit_all(client: httpx.Client, upload: str, tally: Tally, deadline: float) -> None:
    """Post each job until it is accepted: a key makes that safe when an answer was lost with the
    API.
    """
    for number in range(JOBS):
        body = {"input": {"upload_id": upload}, "metadata": {"sleep_s": JOB_S}}
        while time.monotonic() < deadline:
            try:
                answer = client.post(
                    "/v1/analyses", json=body, headers={"Idempotency-Key": f"job-{number}"}
                )
            except httpx.HTTPError:
                time.sleep(0.1)
                continue

            if answer.status_code == 202:
                tally.accepted[f"job-{number}"] = answer.json()["id"]
                break

            time.sleep(0.2)


def _kill(
    here: Town, tally: Tally, dice: random.Random, over: threading.Event, bound_s: float
) -> None:
    beat = 0
    while not over.wait(1.5) and beat < bound_s / 1.5:
        beat += 1
        if beat in (4, 10, 16):
            here.store.kill()
            time.sleep(0.5)
            here.store.start()
            tally.store_kills += 1

        if beat in (6, 12, 18):
            kill_tree(here.keeper.running["api"].pid)
            tally.api_kills += 1

        pick_victim(here.keeper, dice, "worker")
        tally.worker_kills += 1

        if dice.random() < 0.5:
            queue = rq_queue("video", here.bench.shop.store.redis)
            doomed_worker(here.bench.shop.store.redis, [queue.name])
            tally.popped_and_died += 1


def _unfinished(here: Town) -> int:
    return int(here.bench.shop.store.redis.zcard("lk:jobs:active"))


def _plain_row(plain: Losses) -> Sequence[object]:
    ended = f"{plain.done}+{plain.failed} failed"
    note = f" ({plain.stuck} still stuck)" if plain.stuck else ""
    return plain.accepted, ended, plain.lost, "-", "-", f"{plain.seconds:.0f} s{note}"


def _print_table(heading: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    lines = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


@bar("R-2")
def lost_jobs_are_soon_delivered_again() -> Figure:
    """Re-delivery after a worker's kill (worst of 5), and the first job done after the store's
    return (worst of 3).
    """
    with stopwatch(180), town() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name)

        here.await_workers(2)
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


def _redelivery_s(here: Town) -> float:
    job = here.bench.submit(sleep_s=30, steps=300)
    here.bench.wait_for(job, "running")
    victim = next(
        name for name in here.keeper.running if here.bench.runs(here.keeper.running[name].pid, job)
    )
    kill_tree(here.keeper.running[victim].pid)
    took = eventually(lambda: here.bench.get(job).attempt == 2, 30, "second delivery")
    here.bench.shop.store.request_cancel(job.id)
    here.bench.wait_for(job, "canceled")
    here.await_workers(2)

    return took


def _first_done_s(here: Town) -> float:
    jobs = [here.bench.submit(sleep_s=0.2) for _ in range(10)]
    here.bench.wait_for(jobs[0], "running", "succeeded")
    here.store.kill()
    time.sleep(2.0)
    here.store.start()
    before = here.bench.counters().get("succeeded:analysis", 0)
    took = eventually(
        lambda: here.bench.counters().get("succeeded:analysis", 0) > before, 30, "first job"
    )

    for job in jobs:
        here.bench.wait_for(job, timeout_s=40)

    return took


ROWS = {
    "killed between pop and registration": "popped_by_a_worker_that_died_before_registering",
    "child killed": "whose_child_is_killed",
    "worker and child killed": "whose_worker_and_child_are_killed",
    "store killed in the middle of a job": "store_may_die_in_the_middle",
    "poison job": "poison_job_is_tried_three_times",
    "late twin": "late_twin_changes_nothing",
}


@bar("R-3")
def each_way_to_die_has_its_regression_test() -> Figure:
    """The six rows of docs/jobs.md, each a test on a real store with real workers."""
    with stopwatch(240):
        passed = 0
        for row, name in ROWS.items():
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "tests/worker/process/test_warm_worker.py",
                "-k",
                name,
            ]

            ok = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120).returncode == 0
            passed += ok
            print(f"{row}: {'passed' if ok else 'FAILED'}", flush=True)

    return Figure(passed, f"of {len(ROWS)} passed", "all", passed == len(ROWS))
