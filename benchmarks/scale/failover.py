"""X-4: a primary dies while its replicas lag, and nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from benchmarks.bar import Figure, bar
from benchmarks.stack import stopwatch
from tests.worker.stores.sentinel_group import sentinel_group
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import StoreError, UnknownJob
from worker.stores.connection import connect
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_store import JobStore

# More than a replica that keeps up ever has; what lies in it is lost without waiting.
LAG_S = 4.0
SUBMITTERS = 4
BEFORE_S = 3.0  # in step, then as long with the lag
# Sentinels need some seconds to agree and to promote.
AFTER_S = 12.0
EVERY_S = 0.02  # between two jobs of one submitter
BAR_S = 5.0
REQUEST = JobRequest(JobPayload(kind="analysis", tenant="acme"))
# Quotas out of the way: what is measured is the store.
ROOM = JobLimits(tenant_jobs=100_000, max_jobs=100_000)


@dataclass
class Run:
    """What clients were told, and what the new primary knows of it."""

    acknowledged: list[tuple[float, str]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    killed_at: float = 0.0
    lost: int = 0

    @property
    def again_s(self) -> float:
        """How long after the kill the first job was acknowledged again."""
        after = [at - self.killed_at for at, _ in self.acknowledged if at > self.killed_at]
        return min(after, default=float("inf"))


@bar("X-4")
def failover_loses_nothing() -> Figure:
    """Clients submit while three Sentinels watch a primary with two replicas. Lines lag by four
    seconds, the primary is killed, and every acknowledged job is looked for on the new one: with
    both replicas behind, with one of them, and for comparison without waiting for replicas.
    """
    with stopwatch(150):
        print("replicas waited for | behind | acknowledged | refused | lost | again after")
        # The control: without waiting for replicas some have to be lost.
        unguarded = _run(0, LAG_S, LAG_S)
        runs = [_run(1, LAG_S, LAG_S), _run(1, 0.0, LAG_S)]

    lost = sum(run.lost for run in runs)
    again_s = max(run.again_s for run in runs)
    print(f"without waiting {unguarded.lost} are lost; acknowledging again after {again_s:.1f} s")

    # A run in which nothing could have been lost shows nothing.
    holds = lost == 0 and again_s <= BAR_S and unguarded.lost > 0
    return Figure(lost, "acknowledged jobs lost", f"0, again <= {BAR_S:.0f} s", holds)


def _run(replicas: int, *lags_s: float) -> Run:
    run = Run()
    over = threading.Event()

    with sentinel_group() as group:
        submitters = [
            threading.Thread(target=_submit, args=(group.url, replicas, run, over))
            for _ in range(SUBMITTERS)
        ]
        for submitter in submitters:
            submitter.start()

        time.sleep(BEFORE_S)
        group.lag(*lags_s)
        time.sleep(BEFORE_S)
        group.kill_primary()
        run.killed_at = time.monotonic()
        time.sleep(AFTER_S)
        over.set()

        for submitter in submitters:
            submitter.join()
        # Asked of whoever is primary now.
        with connect(group.url) as redis:
            jobs = JobStore(redis, ROOM)
            run.lost = sum(not _is_known(jobs, job_id) for _, job_id in run.acknowledged)

    behind = " and ".join(f"{lag_s:.0f} s" for lag_s in lags_s)
    print(
        f"{replicas:19} | {behind} | {len(run.acknowledged)} | {len(run.refused)} | {run.lost} |"
        f" {run.again_s:.1f} s",
        flush=True,
    )
    return run


def _submit(url: str, replicas: int, run: Run, over: threading.Event) -> None:
    with connect(url, replicas=replicas) as redis:
        jobs = JobStore(redis, ROOM)
        while not over.wait(EVERY_S):
            began = time.monotonic()
            try:
                job_id = jobs.admit(REQUEST).job.id
            except StoreError:
                # A refusal is an honest answer: the client tries again, and nothing is lost.
                run.refused.append(began)
            else:
                run.acknowledged.append((time.monotonic(), job_id))


def _is_known(jobs: JobStore, job_id: str) -> bool:
    try:
        jobs.get(job_id)
    except UnknownJob:
        return False
    return True
