"""A worker in operation: erasures, bounds, renewal of its child, a full disk, its status."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.material import ROOT
from tests.worker.process.conftest import is_cleared
from tests.worker.workers import Bench, eventually
from worker.errors import QuotaExceeded
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id


def test_an_idle_child_forgets_an_identity_that_is_erased(bench: Bench) -> None:
    bench.start_worker()
    record = IdentityRecord(new_id("idn"), "acme", "open@test", 0.0)
    bench.stores.identities.put(record, b"code", b"weights")
    time.sleep(1.5)  # the worker has looked at what was erased before it came
    bench.stores.identities.erase(record.id)
    time.sleep(2.5)
    assert bench.wait_for(bench.submit()).report["forgotten"] == 1


def test_a_busy_child_does_not_wait_for_its_job_to_forget(bench: Bench) -> None:
    bench.start_worker()
    record = IdentityRecord(new_id("idn"), "acme", "open@test", 0.0)
    bench.stores.identities.put(record, b"code", b"weights")
    bench.wait_for(bench.submit())  # the worker has looked at what was erased before it came
    time.sleep(1.5)
    job = bench.submit(sleep_s=4.0)
    bench.stores.identities.erase(record.id)
    assert bench.wait_for(job).report["forgotten"] == 1


def test_a_worker_that_was_asleep_is_known_again(bench: Bench) -> None:
    bench.start_worker()
    eventually(lambda: len(bench.stores.queue.workers()) == 1, 20, "a worker that is registered")
    (worker,) = bench.stores.queue.workers()
    redis = bench.stores.jobs.redis
    redis.delete(f"rq:worker:{worker.name}")  # as time does while a machine is suspended
    redis.srem("rq:workers", f"rq:worker:{worker.name}")
    eventually(
        lambda: [known.queue for known in bench.stores.queue.workers()] == ["video"],
        20,
        "the worker to be known",
    )


def test_a_tenants_own_bounds_are_set_by_command(bench: Bench) -> None:
    command = [
        sys.executable,
        "-m",
        "worker",
        "bounds",
        "acme",
        "--max-jobs",
        "1",
        "--store",
        bench.url,
    ]

    subprocess.run(command, cwd=ROOT, timeout=20, check=True)
    bench.submit()

    with pytest.raises(QuotaExceeded):
        bench.submit()

    bench.submit(tenant="other")


def test_the_child_is_renewed_after_its_share_of_jobs(bench: Bench) -> None:
    bench.start_worker(recycle_jobs="2")
    pids = [bench.wait_for(bench.submit()).report["pid"] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_a_disk_that_is_full_leaves_no_truncated_file(bench: Bench) -> None:
    bench.start_worker(child_file_bytes=str(1 << 20))
    job = bench.wait_for(bench.submit(body=b"x" * 1000, times=2000))
    assert job.status == "failed"
    assert job.result is None
    assert is_cleared(bench, job.id)
    assert bench.wait_for(bench.submit()).status == "succeeded"


def test_status_shows_queues_workers_jobs_and_dead_letters(bench: Bench) -> None:
    worker = bench.start_worker()
    dead = bench.wait_for(bench.submit(poison="raise"))
    running = bench.submit(sleep_s=20, steps=50)  # two commands fit in
    bench.wait_for(running, "running")
    command = [
        sys.executable,
        "-m",
        "worker",
        "status",
        "--store",
        bench.url,
        "--data",
        str(bench.data_dir),
    ]

    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout
    stock = json.loads(
        subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, timeout=20).stdout
    )
    assert running.id in shown
    assert dead.id in shown
    assert [entry["pid"] for entry in stock["workers"]] == [worker.pid]
    assert [task["id"] for task in stock["tasks"]] == [running.id]
    assert next(queue for queue in stock["queues"] if queue["name"] == "video")["running"] == 1
