"""Jobs whose child, worker or store dies, or that fail again and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tests.material import ROOT
from tests.store_server import StoreServer
from tests.worker.process.conftest import is_cleared, outputs
from tests.worker.workers import Bench, child_pid, eventually, kill_tree
from worker.contract.jobs import Task
from worker.stores.jobs.job_queue import rq_queue

FINISHED_AGAIN = 20.0


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
    queue = rq_queue("video", bench.stores.jobs.redis)
    popped = bench.stores.jobs.redis.lmove(queue.key, queue.intermediate_queue_key)
    assert popped == f"{job.id}-1".encode()
    bench.start_worker()
    done = bench.wait_for(job)
    assert (done.status, done.attempt) == ("succeeded", 2)


def test_a_stale_attempt_changes_nothing(bench: Bench) -> None:
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

    eventually(lambda: bool(bench.events("attempt ended")), 10, "end of the stale attempt")
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
    again = bench.stores.jobs.get(shown.split()[-1])
    assert again.requeued_from == dead.id
    assert bench.get(dead) == dead


def test_a_video_killed_on_the_way_computes_only_what_is_missing(bench: Bench) -> None:
    bench.start_worker()
    unbroken = bench.submit("swap_video")
    bench.wait_for(unbroken)
    before = len(bench.events("part begun"))
    video = bench.submit("swap_video", sleep_s=0.4)
    eventually(lambda: len(bench.events("part begun")) >= before + 4, 20, "fourth part")
    kill_tree(bench.workers[0].pid)
    bench.start_worker()
    assert bench.wait_for(video, timeout_s=30).status == "succeeded"
    assert bench.result(video) == bench.result(unbroken)
    assert len(bench.events("part begun")) <= before + 6 + 1
    eventually(lambda: len(outputs(bench, video.id)) == 1, 5, "end of the segments' files")


def test_the_store_may_die_in_the_middle_of_a_job(
    own_store_server: StoreServer, tmp_path: Path
) -> None:
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
        assert bench.stores.attempts.redeliver(Task(job.id, done.attempt)) == "superseded"
    finally:
        bench.close()
