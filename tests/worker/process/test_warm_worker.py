"""A real worker on a real store: what it does with jobs, and what its child cannot do."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import psutil

from benchmarks.promises.deeds import DEEDS
from benchmarks.promises.targets import targets_on
from tests.material import PACKS, ROOT
from tests.store_server import StoreServer
from tests.worker.process.conftest import outputs
from tests.worker.workers import Bench, child_pid, eventually
from worker.process.child_process import NATIVE_LIBRARIES
from worker.sandbox.limits import DEVICE_VARIABLES
from worker.stores.jobs.job_queue import rq_queue

FINISHED_AGAIN = 20.0


def test_a_ready_worker_touches_the_file_that_probes_look_at(bench: Bench, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    bench.start_worker(heartbeat_file=str(alive))
    eventually(alive.exists, 10, "a first heartbeat")
    first = alive.stat().st_mtime
    eventually(lambda: alive.stat().st_mtime > first, 10, "a second heartbeat")


def test_jobs_run_one_after_another_in_one_warm_child(bench: Bench) -> None:
    bench.start_worker()
    jobs = [bench.wait_for(bench.submit()) for _ in range(3)]
    assert [job.status for job in jobs] == ["succeeded"] * 3
    assert len({job.report["pid"] for job in jobs}) == 1
    assert all(job.report["counters"]["models_loaded"] == 0 for job in jobs)
    assert bench.result(jobs[0]).endswith(b"input")
    (result,) = outputs(bench, jobs[0].id)
    place = bench.stores.media.scratch / "jobs" / jobs[0].id / result
    assert oct(place.stat().st_mode)[-3:] == "600"


def test_the_child_is_confined_and_knows_little(bench: Bench) -> None:
    child = psutil.Process(child_pid(bench.start_worker(secret="of the parent")))
    status = Path(f"/proc/{child.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert set(child.environ()) <= {
        "LANG",
        "PATH",
        "PYTHONPATH",
        "TMPDIR",
        "USER",
        "LC_CTYPE",
        *NATIVE_LIBRARIES,
        *(*DEVICE_VARIABLES, "TZ"),
    }

    assert bench.url not in " ".join(child.cmdline())
    limits = Path(f"/proc/{child.pid}/limits").read_text()
    assert "unlimited" not in next(
        line for line in limits.splitlines() if line.startswith("Max address space")
    )


def test_a_child_that_was_taken_over_can_do_none_of_twelve_deeds(
    bench: Bench, store_server: StoreServer
) -> None:
    deeds = "benchmarks.promises.deed_use_cases"
    bench.start_worker(use_cases=deeds, packs_dir=str(PACKS))

    with targets_on(store_server, PACKS / "open") as targets:
        jobs = {name: bench.submit(deed=name, targets=targets.model_dump()) for name in DEEDS}
        said = {name: bench.wait_for(job).report["outcome"] for name, job in jobs.items()}

    assert {name: outcome for name, outcome in said.items() if "Error" not in outcome} == {}
    [worker] = bench.stores.queue.workers()
    assert worker.protection.missing == ()


def test_a_worker_that_requires_a_sandbox_does_not_start_without(bench: Bench) -> None:
    old_kernel = [sys.executable, "-m", "tests.worker.sandbox.old_kernel", "seccomp"]
    worker = [sys.executable, "-m", "worker", "--queue", "video", "--store", bench.url]
    small = ["--data", str(bench.data_dir), "--use-cases", "tests.worker.small_use_cases"]
    ended = subprocess.run(
        [*old_kernel, *worker, *small],
        cwd=ROOT,
        env=os.environ | {"LIKENESS_REQUIRE_SANDBOX": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    assert "sandbox_unavailable: This kernel lacks seccomp" in ended.stderr


def test_a_foreign_function_or_a_pickle_in_the_queue_is_refused(bench: Bench) -> None:
    bench.start_worker()
    redis = bench.stores.jobs.redis
    queue = rq_queue("video", bench.stores.jobs.redis)
    canary = bench.data_dir / "canary"
    calls = {
        "foreign": json.dumps(["os.mkdir", None, [str(canary)], {}]).encode(),
        "pickled": pickle.dumps(("os.mkdir", None, (str(canary),), {})),
    }

    for name, data in calls.items():
        fields = {
            "data": zlib.compress(data),
            "origin": "video",
            "status": "queued",
            "failure_callback_name": "os.mkdir",
        }

        redis.hset(f"rq:job:{name}", mapping=fields)
        redis.rpush(queue.key, name)

    assert bench.wait_for(bench.submit()).status == "succeeded"
    assert not canary.exists()
