"""Real workers for tests: started as an operator would, on a store and a data directory of the
test's own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.material import ROOT
from tests.object_server import fresh_media
from worker.composition import open_stores
from worker.contract.jobs import JobRecord
from worker.contract.requests import JobKind, JobPayload, JobRequest
from worker.job_context import Performed, UseCases
from worker.process.attempts.attempt import Attempt
from worker.process.attempts.committing import Perform
from worker.process.child_attempt import since_now
from worker.settings import WorkerSettings
from worker.stores.connection import Reply, text_fields
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.media.uploads import MediaFacts


class Bench:
    """Stores, and the workers on them; `close` ends what it started."""

    def __init__(self, url: str, data_dir: Path, limits: JobLimits | None = None) -> None:
        self.url = url
        self.data_dir = data_dir
        self.media = fresh_media()
        self.stores = open_stores(
            WorkerSettings(redis_url=url, data_dir=data_dir, media=self.media)
        )

        if limits:
            self.stores.jobs.limits = limits

        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(
        self,
        queue: str = "video",
        wait: bool = True,
        use_cases: str = "tests.worker.small_use_cases",
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "worker",
            "--queue",
            queue,
            "--store",
            self.url,
            "--data",
            str(self.data_dir),
        ]

        with (self.data_dir / "workers.log").open("ab") as log:
            started = log.tell()
            process = subprocess.Popen(
                [*command, "--use-cases", use_cases],
                cwd=ROOT,
                env=os.environ
                | {"LIKENESS_MEDIA": self.media}
                | {f"LIKENESS_{name.upper()}": value for name, value in environment.items()},
                stdout=log,
                stderr=log,
            )

        self.workers.append(process)
        if wait:
            eventually(
                lambda: "worker ready" in self.log_text()[started:], 20, "a worker that is ready"
            )

        return process

    def log_text(self) -> str:
        return (self.data_dir / "workers.log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def upload(self, tenant: str = "acme", body: bytes = b"input") -> str:
        writer = self.stores.media.begin_write(tenant)
        writer.write(body)
        return writer.commit(MediaFacts("text/plain", ".txt"), ttl_s=600).id

    def submit(
        self,
        kind: JobKind = "analysis",
        tenant: str = "acme",
        body: bytes = b"input",
        **metadata: object,
    ) -> JobRecord:
        payload = JobPayload(kind=kind, tenant=tenant, input_id=self.upload(tenant, body))
        job = self.stores.jobs.admit(
            JobRequest(payload, input_bytes=len(body), metadata=metadata)
        ).job
        self.stores.queue.deliver("video")

        return job

    def event_types(self, job_id: str) -> list[str]:
        rows: Reply = self.stores.jobs.redis.xrange(f"lk:job:{job_id}:events")
        return [fields[b"type"].decode() for _, fields in rows]

    def counters(self) -> dict[str, int]:
        counted = text_fields(self.stores.jobs.redis.hgetall("lk:stats"))
        return {name: int(count) for name, count in counted.items()}

    def redeliveries(self) -> int:
        return self.counters().get("redeliveries", 0)

    def runs(self, pid: int, job: JobRecord) -> bool:
        """Whether the worker with this process id has the job."""
        names = {worker.pid: worker.name for worker in self.stores.queue.workers()}
        holder = self.stores.jobs.redis.hget(f"lk:task:{job.id}", "worker")
        return holder is not None and names.get(pid, "").encode() == holder

    def get(self, job: JobRecord) -> JobRecord:
        return self.stores.jobs.get(job.id)

    def wait_for(self, job: JobRecord, *statuses: str, timeout_s: float = 20.0) -> JobRecord:
        wanted = statuses or ("succeeded", "failed", "canceled", "expired")
        eventually(
            lambda: self.get(job).status in wanted,
            timeout_s,
            f"{job.id} {wanted}, is {self.get(job).status}",
        )
        return self.get(job)

    def result(self, job: JobRecord) -> bytes:
        with self.stores.media.results.open(self.get(job)) as file:
            return file.read()

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                kill_tree(process.pid)
            process.wait(timeout=10)
        self.stores.jobs.redis.close()


def performer(use_cases: UseCases) -> Perform:
    """Perform attempts in this process, where a worker has a child for that."""

    def perform(attempt: Attempt) -> Performed:
        attempt.spent = since_now(use_cases)
        outcome = use_cases.find(attempt.job.kind)(attempt)
        return Performed(outcome, use_cases.pack, attempt.spent())

    return perform


def child_pid(worker: subprocess.Popen[bytes]) -> int:
    """Return the worker's warm child."""
    return int(psutil.Process(worker.pid).children()[0].pid)


def kill_tree(pid: int) -> None:
    """kill -9 a process and its children, as a machine's end would."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return

    for process in family:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def eventually(
    condition: Callable[[], bool], timeout_s: float, what: str, poll_s: float = 0.05
) -> float:
    """Wait for a condition; returns how long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"no {what} within {timeout_s} s")
        time.sleep(poll_s)

    return time.monotonic() - began
