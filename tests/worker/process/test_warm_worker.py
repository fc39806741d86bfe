"""A real worker on a real store: what it does with jobs, and with being killed."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.promises.deeds import DEEDS
from benchmarks.promises.targets import targets_on
from tests.conftest import StoreServer
from tests.service.live_service import PACKS
from tests.worker.workers import ROOT, Bench, child_pid, eventually, kill_tree
from worker.contract import JobPayload, JobRequest, Task
from worker.errors import QuotaExceeded
from worker.process.child_process import ALLOCATOR
from worker.sandbox.limits import DEVICE_VARIABLES
from worker.stores.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.jobs.job_queue import rq_queue

FINISHED_AGAIN = 20.0


@pytest.fixture
def bench(store_url: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(store_url, tmp_path)
    yield bench
    bench.close()


def outputs(bench: Bench, job_id: str) -> list[str]:
    """Return what lies in the job's directory, which its worker may be clearing at this moment."""
    walk = os.walk(bench.shop.media.scratch / "jobs" / job_id)
    return sorted(name for _, folders, files in walk for name in [*folders, *files])


def is_cleared(bench: Bench, job_id: str) -> bool:
    """Return true soon after a job's end: its state is final before its files are gone."""
    return eventually(lambda: not outputs(bench, job_id), 5, "end of the job's files") < 5


def test_jobs_run_one_after_another_in_one_warm_child(bench: Bench) -> None:
    bench.start_worker()
    jobs = [bench.wait_for(bench.submit()) for _ in range(3)]
    assert [job.status for job in jobs] == ["succeeded"] * 3
    assert len({job.report["pid"] for job in jobs}) == 1
    assert all(job.report["counters"]["models_loaded"] == 0 for job in jobs)
    assert bench.result(jobs[0]).endswith(b"input")
    (result,) = outputs(bench, jobs[0].id)
    place = bench.shop.media.scratch / "jobs" / jobs[0].id / result
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
        *ALLOCATOR,
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
    [worker] = bench.shop.queue.workers()
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


def test_a_job_whose_child_is_killed_is_done_by_a_new_child(bench: Bench) -> None:
    worker = bench.start_worker()
    job = bench.submit(sleep_s=1.5, steps=30)
    bench.wait_for(job, "running")
    first = child_pid(worker)
    psutil.Process(first).kill()
    done = bench.wait_for(job)
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert done.report["pid"] != first


def test_a_child_that_leaves_quietly_does_not_pass_for_done(bench: Bench) -> None:
    bench.start_worker()
    failed = bench.wait_for(bench.submit(poison="exit"))
    assert failed.error is not None
    assert (failed.status, failed.attempt, failed.error.code) == ("failed", 3, "attempts_exhausted")


def test_a_job_whose_worker_and_child_are_killed_is_delivered_to_another(bench: Bench) -> None:
    workers = [bench.start_worker() for _ in range(2)]
    job = bench.submit(sleep_s=4, steps=80)
    bench.wait_for(job, "running")
    kill_tree(next(worker.pid for worker in workers if bench.runs(worker.pid, job)))
    eventually(lambda: bench.get(job).attempt == 2, 15, "second delivery")
    assert bench.wait_for(job).status == "succeeded"


def test_a_worker_that_dies_takes_its_child_along(bench: Bench) -> None:
    worker = bench.start_worker()
    child = psutil.Process(child_pid(worker))
    worker.kill()
    worker.wait(timeout=5)
    eventually(
        lambda: not child.is_running() or child.status() == "zombie", 2, "death of the child"
    )


def test_a_job_popped_by_a_worker_that_died_before_registering_is_not_lost(bench: Bench) -> None:
    job = bench.submit()
    queue = rq_queue("video", bench.shop.store.redis)
    popped = bench.shop.store.redis.lmove(queue.key, queue.intermediate_queue_key)
    assert popped == f"{job.id}-1".encode()
    bench.start_worker()
    done = bench.wait_for(job)
    assert (done.status, done.attempt) == ("succeeded", 2)


def test_a_late_twin_changes_nothing(bench: Bench) -> None:
    first = bench.start_worker()
    job = bench.submit(sleep_s=1, steps=20)
    bench.wait_for(job, "running")
    stopped = [psutil.Process(first.pid), psutil.Process(child_pid(first))]

    for process in stopped:
        process.suspend()

    bench.start_worker()
    done = bench.wait_for(job, timeout_s=FINISHED_AGAIN)

    for process in stopped:
        process.resume()

    eventually(lambda: bool(bench.events("attempt ended")), 10, "end of the twin")
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert bench.get(job) == done
    assert bench.result(job).endswith(b"input")


def test_a_poison_job_is_tried_three_times_and_others_go_on(bench: Bench) -> None:
    bench.start_worker()
    poison = bench.submit(poison="crash")
    others = [bench.submit() for _ in range(5)]
    assert all(bench.wait_for(job).status == "succeeded" for job in others)
    dead = bench.wait_for(poison)
    assert dead.error is not None
    assert (dead.status, dead.attempt, dead.error.code) == ("failed", 3, "attempts_exhausted")


def test_a_failure_with_a_reason_is_not_tried_again(bench: Bench) -> None:
    bench.start_worker()
    failed = bench.wait_for(bench.submit(poison="refuse"))
    assert failed.error is not None
    assert (failed.status, failed.attempt, failed.error.code) == ("failed", 1, "no_face")
    assert is_cleared(bench, failed.id)


def test_a_bug_is_tried_three_times_and_becomes_a_dead_letter_that_can_be_requeued(
    bench: Bench,
) -> None:
    bench.start_worker()
    dead = bench.wait_for(bench.submit(poison="raise"))
    assert (dead.status, dead.attempt) == ("failed", 3)
    command = [
        sys.executable,
        "-m",
        "worker",
        "requeue",
        dead.id,
        "--store",
        bench.url,
        "--data",
        str(bench.data_dir),
    ]

    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout
    again = bench.shop.store.get(shown.split()[-1])
    assert again.requeued_from == dead.id
    assert bench.get(dead) == dead


def test_a_running_job_that_is_canceled_ends_soon_and_leaves_nothing(bench: Bench) -> None:
    bench.start_worker()
    job = bench.submit(sleep_s=30, steps=300)
    bench.wait_for(job, "running")
    following = bench.submit()
    bench.shop.store.request_cancel(job.id)
    assert bench.wait_for(job, timeout_s=3).status == "canceled"
    assert bench.wait_for(following).status == "succeeded"
    assert is_cleared(bench, job.id)


def test_a_deaf_job_that_is_canceled_is_killed(bench: Bench) -> None:
    bench.start_worker()
    job = bench.submit(sleep_s=30, deaf=True)
    bench.wait_for(job, "running")
    bench.shop.store.request_cancel(job.id)
    assert bench.wait_for(job, timeout_s=4).status == "canceled"
    assert bench.wait_for(bench.submit()).status == "succeeded"
    assert is_cleared(bench, job.id)


def test_a_running_job_past_its_deadline_expires(bench: Bench) -> None:
    bench.start_worker()
    payload = JobPayload(kind="analysis", tenant="acme", input_id=bench.upload())
    request = JobRequest(payload, deadline_s=2.0, metadata={"sleep_s": 30, "steps": 300})
    job = bench.shop.store.admit(request).job
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
    assert bench.shop.store.redis.hget(f"lk:task:{job.id}", "begun") == b"0"
    bench.start_worker()
    assert bench.wait_for(job).status == "succeeded"


def test_an_idle_child_forgets_an_identity_that_is_erased(bench: Bench) -> None:
    bench.start_worker()
    record = IdentityRecord(new_id("idn"), "acme", "open@test", 0.0)
    bench.shop.identities.put(record, b"code", b"weights")
    time.sleep(1.5)  # the worker has looked at what was erased before it came
    bench.shop.identities.erase(record.id)
    time.sleep(2.5)
    assert bench.wait_for(bench.submit()).report["forgotten"] == 1


def test_a_busy_child_does_not_wait_for_its_job_to_forget(bench: Bench) -> None:
    bench.start_worker()
    record = IdentityRecord(new_id("idn"), "acme", "open@test", 0.0)
    bench.shop.identities.put(record, b"code", b"weights")
    bench.wait_for(bench.submit())  # the worker has looked at what was erased before it came
    time.sleep(1.5)
    job = bench.submit(sleep_s=4.0)
    bench.shop.identities.erase(record.id)
    assert bench.wait_for(job).report["forgotten"] == 1


def test_a_worker_that_was_asleep_is_known_again(bench: Bench) -> None:
    bench.start_worker()
    (worker,) = bench.shop.queue.workers()
    redis = bench.shop.store.redis
    redis.delete(f"rq:worker:{worker.name}")  # as time does while a machine is suspended
    redis.srem("rq:workers", f"rq:worker:{worker.name}")
    eventually(
        lambda: [known.queue for known in bench.shop.queue.workers()] == ["video"],
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


def test_a_film_killed_on_the_way_computes_only_what_is_missing(bench: Bench) -> None:
    bench.start_worker()
    unbroken = bench.submit("swap_video")
    bench.wait_for(unbroken)
    before = len(bench.events("part begun"))
    film = bench.submit("swap_video", sleep_s=0.4)
    eventually(lambda: len(bench.events("part begun")) >= before + 4, 20, "fourth part")
    kill_tree(bench.workers[0].pid)
    bench.start_worker()
    assert bench.wait_for(film, timeout_s=30).status == "succeeded"
    assert bench.result(film) == bench.result(unbroken)
    assert len(bench.events("part begun")) <= before + 6 + 1
    eventually(lambda: len(outputs(bench, film.id)) == 1, 5, "end of the segments' files")


def test_a_foreign_function_or_a_pickle_in_the_queue_is_refused(bench: Bench) -> None:
    bench.start_worker()
    redis = bench.shop.store.redis
    queue = rq_queue("video", bench.shop.store.redis)
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


def test_the_store_may_die_in_the_middle_of_a_job(own_store_server: object, tmp_path: Path) -> None:
    from tests.conftest import StoreServer

    assert isinstance(own_store_server, StoreServer)
    bench = Bench(own_store_server.url, tmp_path)

    try:
        bench.start_worker()
        job = bench.submit(sleep_s=1, steps=20)
        bench.wait_for(job, "running")
        own_store_server.kill()
        bench.workers[0].wait(timeout=20)
        own_store_server.start()
        bench.start_worker()
        done = bench.wait_for(job, timeout_s=FINISHED_AGAIN)
        assert done.status == "succeeded"
        assert bench.shop.attempts.redeliver(Task(job.id, done.attempt)) == "superseded"
    finally:
        bench.close()
