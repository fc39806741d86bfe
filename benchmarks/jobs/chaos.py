"""Bar R-1: whatever dies, no accepted job is lost and nothing is done twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
from redis.exceptions import RedisError

from benchmarks.bar import Figure, bar
from benchmarks.jobs.plain_rq import Losses, doomed_worker, run_chaos
from benchmarks.stack import Stack, pick_victim, running_stack, stopwatch
from tests.worker.workers import eventually
from worker.contract.jobs import FINAL
from worker.errors import StoreError
from worker.stores.jobs.job_queue import rq_queue

JOBS = 500
# Short, so that a kill hits every state of a job: queued, popped, running, committing.
JOB_S = 0.05
PLAIN_JOBS = 150
KILL_EVERY_S = 1.5
STORE_KILLS = (4, 10, 16)  # at which beats the store dies, and the API
API_KILLS = (6, 12, 18)
# Of 18 beats or more: now and then a worker is hit that is just being started again, or no job
# waits for whoever pops it and dies.
MIN_WORKER_KILLS = 12
MIN_POPS = 3


@dataclass
class Tally:
    """What the chaos did and found; only kills of what was alive count."""

    accepted: dict[str, str] = field(default_factory=dict)
    worker_kills: int = 0
    popped_and_died: int = 0
    store_kills: int = 0
    api_kills: int = 0
    trouble: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all kills that were meant happened."""
        return (
            self.store_kills == len(STORE_KILLS)
            and self.api_kills == len(API_KILLS)
            and self.worker_kills >= MIN_WORKER_KILLS
            and self.popped_and_died >= MIN_POPS
        )


@dataclass(frozen=True)
class Ends:
    """What became of the accepted jobs."""

    final: int
    double: int
    redeliveries: int
    seconds: float


@bar("R-1")
def no_accepted_job_is_lost_in_chaos() -> Figure:
    """500 jobs over HTTP.

    Every 1.5 s a worker tree dies, some after a pop, and store and API die 3 times each.
    """
    with stopwatch(480):
        with running_stack() as here:
            tally = Tally()
            ends = _our_chaos(here, tally, bound_s=240)

        # With one queue RQ moves a job to a list while it is popped; with two it cannot.
        plain = [run_chaos(PLAIN_JOBS, queues, bound_s=60, job_s=JOB_S) for queues in (1, 2)]

    lost = len(tally.accepted) - ends.final
    _print_kills(tally)
    ours = (len(tally.accepted), ends.final, lost, ends.double, ends.redeliveries)
    _print_table(
        ("", "accepted", "final", "lost", "double commits", "re-deliveries", "time"),
        (
            ("this design", *ours, f"{ends.seconds:.0f} s"),
            ("plain RQ, 1 queue", *_plain_row(plain[0])),
            ("plain RQ, 2 queues", *_plain_row(plain[1])),
        ),
    )

    holds = len(tally.accepted) == JOBS and lost == 0 and ends.double == 0 and tally.is_done
    return Figure(lost, "jobs lost", "0 lost, 0 double commits, all kills done", holds)


def _our_chaos(here: Stack, tally: Tally, bound_s: float) -> Ends:
    over = threading.Event()

    for name in ("worker-a", "worker-b"):
        here.add_worker(name)

    here.add_api()
    here.await_api()
    here.await_workers(2)
    upload = here.bench.upload("acme", b"input")
    store = here.bench.stores.jobs
    client = here.client()
    began = time.monotonic()
    # Beside the kills: an answer that is lost with the API is the case to be survived.
    submitting = threading.Thread(
        target=_submit_all, args=(client, upload, tally, began + bound_s), daemon=True
    )
    killing = threading.Thread(target=_kill, args=(here, tally, over, bound_s), daemon=True)
    submitting.start()
    killing.start()
    submitting.join()
    _ended_within(bound_s, here)
    seconds = time.monotonic() - began
    over.set()
    killing.join(timeout=bound_s)  # it has kills to do, whether or not jobs are left

    # What was acknowledged and nothing else: an id that was never received is nobody's.
    jobs = [store.get(job_id) for job_id in tally.accepted.values()]
    # A job that was done twice has two commits, and its results would look alike.
    commits = [here.bench.event_types(job.id).count("completed") for job in jobs]
    print(f"ended as: {dict(Counter(job.status for job in jobs))}")

    return Ends(
        final=sum(job.status in FINAL for job in jobs),
        double=sum(count != 1 for count in commits),
        redeliveries=here.bench.redeliveries(),
        seconds=seconds,
    )


def _ended_within(bound_s: float, here: Stack) -> None:
    """Wait for the end of all jobs; the store may be away at any moment meanwhile."""

    def ended() -> bool:
        try:
            return here.bench.stores.jobs.redis.zcard("lk:jobs:active") == 0
        except (RedisError, StoreError):
            return False

    try:
        eventually(ended, bound_s, "end of all jobs", poll_s=0.5)
    except TimeoutError as late:
        print(f"jobs are left: {late}")


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


def _kill(here: Stack, tally: Tally, over: threading.Event, bound_s: float) -> None:  # noqa: C901 - four deeds, each said where it is done
    """Kill until the jobs are over and all that is meant has happened.

    A kill that fails is told and does not end the chaos.
    """
    # Seeded, so that a run that loses a job can be repeated.
    dice = random.Random(7)
    store = here.bench.stores.jobs

    def kill_store() -> None:
        here.store.kill()
        time.sleep(0.5)
        here.store.start()
        tally.store_kills += 1

    def kill_api() -> None:
        here.await_api()  # a kill of what is still starting proves nothing
        tally.api_kills += here.keeper.kill("api")

    def kill_worker() -> None:
        tally.worker_kills += pick_victim(here.keeper, dice, "worker")

    def pop_and_die() -> None:
        queue = rq_queue("video", store.redis)
        tally.popped_and_died += doomed_worker(store.redis, [queue.name])

    for beat in range(1, round(bound_s / KILL_EVERY_S)):
        time.sleep(KILL_EVERY_S)
        if over.is_set() and tally.is_done:
            break

        deeds: list[Callable[[], None]] = [kill_worker]

        if beat in STORE_KILLS:
            deeds.append(kill_store)
        if beat in API_KILLS:
            deeds.append(kill_api)
        # Now and then: each leaves a job that only the reconciler can find, after some seconds.
        if dice.random() < 0.5:
            deeds.append(pop_and_die)

        for deed in deeds:
            _do(deed, tally)


def _do(deed: Callable[[], None], tally: Tally) -> None:
    try:
        deed()
    except (RedisError, StoreError, TimeoutError) as error:
        tally.trouble.append(f"{deed.__name__}: {type(error).__name__}")


def _print_kills(tally: Tally) -> None:
    print(
        f"kills: {tally.worker_kills} worker trees, {tally.popped_and_died} between pop and"
        f" registration, {tally.store_kills} of the store, {tally.api_kills} of the API;"
        f" {'all that were meant' if tally.is_done else 'NOT all that were meant'}"
    )
    if tally.trouble:
        print(f"kills that failed: {', '.join(tally.trouble)}")


def _plain_row(plain: Losses) -> Sequence[object]:
    ended = f"{plain.done}+{plain.failed} failed"
    note = f" ({plain.stuck} still stuck)" if plain.stuck else ""
    return plain.accepted, ended, plain.lost, "-", "-", f"{plain.seconds:.0f} s{note}"


def _print_table(heading: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    lines = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
