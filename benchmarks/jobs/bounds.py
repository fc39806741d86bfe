"""Bars R-5 and R-8 to R-10: ends and starts come soon, whatever else happens."""

from __future__ import annotations

import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil

from benchmarks.bar import Figure, bar
from benchmarks.quality.faces import register_ada, submit_swap
from benchmarks.stack import Stack, percentile, running_stack, stopwatch
from tests.worker.workers import eventually
from worker.contract.jobs import FINAL, JobRecord


@bar("R-5")
def a_canceled_job_ends_soon_and_leaves_nothing() -> Figure:
    """Cancel 10 queued jobs, 10 running ones and 3 that do not listen.

    The worst of each, the next job, and what is left on disk.
    """
    with stopwatch(120), running_stack() as here:
        here.add_worker("worker")
        here.await_workers(1)
        # A deaf child hears no cancellation: it has to be killed.
        # Ten ask politely; three are killed, which takes each the time of a new child.
        running = [_cancel_running_s(here, deaf=False) for _ in range(10)]
        deaf = [_cancel_running_s(here, deaf=True) for _ in range(3)]
        # One worker is kept busy, so that what comes after stays in the queue.
        blocker = here.bench.submit(sleep_s=30, steps=300)
        here.bench.wait_for(blocker, "running")
        queued = [_cancel_s(here, here.bench.submit()) for _ in range(10)]
        here.bench.stores.jobs.request_cancel(blocker.id)
        left = [
            path for path in (here.bench.data_dir / "media" / "jobs").rglob("*") if path.is_file()
        ]
        # A worker whose child was killed must be able to go on.
        following = here.bench.wait_for(here.bench.submit()).status

    print(
        f"queued {max(queued) * 1e3:.0f} ms, running {max(running):.2f} s, deaf {max(deaf):.2f} s"
    )
    print(f"files left: {len(left)}; the next job {following}")
    holds = (
        max(queued) <= 0.5 and max(running + deaf) <= 3 and not left and following == "succeeded"
    )

    return Figure(
        max(running + deaf),
        "s, the slowest running job",
        "queued <= 0.5 s, running <= 3 s, nothing left",
        holds,
    )


def _cancel_running_s(here: Stack, deaf: bool) -> float:
    job = here.bench.submit(sleep_s=30, steps=300, deaf=deaf)
    here.bench.wait_for(job, "running")
    return _cancel_s(here, job)


def _cancel_s(here: Stack, job: JobRecord) -> float:
    began = time.monotonic()
    here.bench.stores.jobs.request_cancel(job.id)
    here.bench.wait_for(job, "canceled")
    return time.monotonic() - began


@bar("R-8")
def sigterm_drains() -> Figure:
    """SIGTERM to the API and two busy workers with 40 jobs accepted: readiness, exits, and what
    became of the jobs.
    """
    with stopwatch(120), running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name)

        here.add_api()
        here.await_api()
        here.await_workers(2)
        eventually(
            lambda: httpx.get(f"{here.url}/readyz", trust_env=False).status_code == 200,
            60,
            "readiness",
        )

        # Forty seconds: longer than a drain may take, so that they are handed back.
        long = [here.bench.submit(sleep_s=40, steps=400) for _ in range(2)]
        jobs = long + [here.bench.submit(sleep_s=0.2) for _ in range(38)]

        for job in long:
            here.bench.wait_for(job, "running")

        said, unready_s, exits = _terminate_all(here)
        # Neither ended nor accepted any more is what "lost" means.
        lost = sum(here.bench.get(job).status not in {"queued", "running", *FINAL} for job in jobs)

        for job in long:
            here.bench.stores.jobs.request_cancel(job.id)

        here.await_workers(2)
        final = sum(here.bench.wait_for(job, timeout_s=60).status in FINAL for job in jobs)

    print(
        f"readyz says {said} after {unready_s * 1e3:.0f} ms; exits after"
        f" {', '.join(f'{s:.1f}' for s in exits)} s"
    )
    print(f"jobs final in the end: {final} of {len(jobs)}")
    unready = said == "503" and unready_s <= 1
    holds = lost == 0 and final == len(jobs) and max(exits) <= 30 and unready

    return Figure(
        max(exits), "s to the last exit", "<= 30 s, nothing lost, readyz 503 at once", holds
    )


def _terminate_all(here: Stack) -> tuple[str, float, list[float]]:
    """SIGTERM everything with an event stream open, so that there is something to drain.

    Return what `/readyz` then says and after how long, and the seconds to each exit.
    """
    processes = list(here.keeper.running.values())
    with here.client() as client, ThreadPoolExecutor(2) as pool:
        asked = client.get("/v1/jobs?status=running").json()["data"][0]["id"]
        waiting = pool.submit(_swallow, here, f"/v1/jobs/{asked}", {"Prefer": "wait=60"})
        # Until the request that waits is held by the API: it is what has to be drained.
        time.sleep(0.5)
        client.get("/readyz")  # an open connection, as a load balancer's probe has
        began = time.monotonic()

        for process in processes:
            process.send_signal(signal.SIGTERM)

        seen: list[str] = []
        # Every 5 ms, since the bound is a second and the answer is expected at once.
        unready_s = eventually(lambda: _unready(client, seen), 10, "readyz 503", poll_s=0.005)
        exits = [_exit_s(process, began) for process in processes]
        waiting.result(timeout=60)

    return seen[-1], unready_s, exits


def _swallow(here: Stack, path: str, headers: dict[str, str]) -> None:
    with here.client() as client, suppress(httpx.HTTPError):
        client.get(path, headers=headers, timeout=70.0)


def _unready(client: httpx.Client, seen: list[str]) -> bool:
    try:
        seen.append(str(client.get("/readyz").status_code))
    except httpx.HTTPError as error:
        seen.append(f"no answer ({type(error).__name__}): it does not even listen")
    return seen[-1] != "200"


def _exit_s(process: psutil.Popen, began: float) -> float:
    process.wait(timeout=60)
    return time.monotonic() - began


@bar("R-9")
def a_poison_input_is_tried_three_times_and_does_not_hold_up_others() -> Figure:
    """150 jobs on two workers, at a pace that one can hold, without and with an input that crashes
    the child.
    """
    with stopwatch(240), running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name)

        here.await_workers(2)
        # First how long a job takes here: the pace is one that a single worker can hold.
        alone, _ = _paced(here, 20, 0.5, poison_at=set())
        pace = min(0.5, max(0.15, 2 * alone))
        calm, _ = _paced(here, 150, pace, poison_at=set())
        hit, dead = _paced(here, 150, pace, poison_at={50})

    print(
        f"a job every {pace * 1e3:.0f} ms; others' p95: {calm * 1e3:.0f} ms calm, {hit * 1e3:.0f}"
        " ms with the poison"
    )
    print(f"attempts on the poison: {dead}")
    # A fifth: a poison costs a child's start, and not the queue.
    holds = hit <= 1.2 * calm and max(dead) <= 3
    return Figure((hit / calm - 1) * 100, "% slower at p95", "<= 20 %, at most 3 attempts", holds)


def _paced(here: Stack, count: int, pace: float, poison_at: set[int]) -> tuple[float, list[int]]:
    """Submit jobs at an even pace.

    Returns the p95 from accept to end, and the attempts on each poison input.
    """
    jobs = []
    poison = []
    began = time.monotonic()

    for number in range(count):
        if number in poison_at:
            poison.append(here.bench.submit(poison="crash"))

        jobs.append(here.bench.submit(sleep_s=0.05))
        time.sleep(max(0.0, began + (number + 1) * pace - time.monotonic()))

    ended = [here.bench.wait_for(job) for job in jobs]
    dead = [here.bench.wait_for(job).attempt for job in poison]
    return (
        percentile([job.finished_at - job.created_at for job in ended if job.finished_at], 0.95),
        dead,
    )


@bar("R-10")
def an_idle_worker_starts_at_once_and_loads_nothing() -> Figure:
    """60 image swaps, one by one, on an idle warm worker with the real engine: accept to start, and
    models loaded.
    """
    with stopwatch(120), running_stack() as here:
        here.add_worker("worker", "image", small=False)
        here.await_workers(1)
        ada = register_ada(here)
        jobs = [here.bench.wait_for(submit_swap(here, ada)) for _ in range(60)]

    starts = [job.started_at - job.created_at for job in jobs if job.started_at]
    loads = sum(job.report["counters"]["models_loaded"] for job in jobs)
    p50 = statistics.median(starts) * 1e3
    p95 = percentile(starts, 0.95) * 1e3
    print(
        f"accept to start {p50:.1f} ms (median), {p95:.1f} ms (p95); models loaded during"
        f" {len(jobs)} jobs: {loads}"
    )
    holds = p95 <= 50 and loads == 0 and all(job.status == "succeeded" for job in jobs)
    return Figure(p95, "ms, accept to start, p95", "<= 50 ms, 0 models loaded", holds)
