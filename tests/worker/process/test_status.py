"""What an operator is shown of queues and tasks."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from worker.composition import open_stores
from worker.contract.requests import JobPayload, JobRequest
from worker.process.status import take_stock
from worker.settings import WorkerSettings


def test_a_task_that_ends_meanwhile_does_not_shift_the_others(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    stores = open_stores(WorkerSettings(redis_url=store_url, data_dir=tmp_path))
    jobs = [
        stores.jobs.admit(JobRequest(JobPayload(kind="analysis", tenant=name))).job
        for name in ("a", "b", "c")
    ]
    store.delete(f"lk:task:{jobs[0].id}")  # as when its job ended between the two reads
    stock = take_stock(stores)
    assert {(task.id, task.tenant) for task in stock.tasks} == {
        (job.id, job.tenant) for job in jobs[1:]
    }
    assert next(queue for queue in stock.queues if queue.name == "video").waiting == 2
