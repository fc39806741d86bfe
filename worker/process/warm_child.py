"""The child of a warm worker: confined, models loaded once, one job per line until its input
closes.

Started by `child_process.WarmChild` with its socket as standard input.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import socket
from collections.abc import Iterable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import Any, cast

from rq import Worker
from rq.executions import Execution
from rq.serializers import JSONSerializer

from worker.composition import open_stores
from worker.job_context import UseCases
from worker.process.child_process import DONE, READY, ChildOrder
from worker.process.logs import log_as_json
from worker.process.task_runner import TaskRunner
from worker.sandbox.confinement import memory_bound, rules_for
from worker.sandbox.limits import Limits, allow_cpu, die_with, set_limits
from worker.stores.job_queue import ATTEMPT_TIMEOUT_S, TaskJob, rq_queue

log = logging.getLogger(__name__)


class Child:
    """What the child is made of, once everything is loaded."""

    def __init__(self, order: ChildOrder) -> None:
        shop = open_stores(order.settings)
        self.use_cases = cast(
            UseCases,
            importlib.import_module(order.settings.use_cases).load(order.queue, order.settings),
        )
        runner = TaskRunner(order.worker, shop, self.use_cases)
        self._redis = shop.store.redis
        self._queue = rq_queue(order.queue, self._redis)

        class BoundTaskJob(TaskJob):
            run_task = staticmethod(
                runner.run_task
            )  # bound here: no name in the store decides what runs

        self._job_class = BoundTaskJob
        self._rq = Worker(
            [self._queue],
            name=order.worker,
            connection=self._redis,
            serializer=JSONSerializer,
            job_class=self._job_class,
            prepare_for_work=False,
            log_job_description=False,
        )
        self._cpu_s = ATTEMPT_TIMEOUT_S[order.queue] * (os.cpu_count() or 1)

    def perform(self, job_id: str, execution_id: str) -> None:
        """Run one RQ job to its end; RQ books it."""
        allow_cpu(self._cpu_s)
        job = self._job_class.fetch(job_id, connection=self._redis, serializer=JSONSerializer)
        execution = Execution.fetch(execution_id, job_id, connection=self._redis)
        self._rq.perform_job(job, self._queue, execution)

    def listen(self, lines: Iterable[str], jobs: SimpleQueue[Mapping[str, Any] | None]) -> None:
        """Pass jobs on, in order, and forget at once what was erased; None says that the parent has
        closed.

        A thread of its own, because a job may run for an hour and an erasure must not wait for it.
        """
        try:
            for line in lines:
                message = json.loads(line)
                if "forget" in message:
                    self.use_cases.forget(message["forget"])
                else:
                    jobs.put(message)
        finally:
            jobs.put(None)


def main() -> None:
    """Serve the parent until it closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop
    with (
        socket.socket(fileno=os.dup(0)) as channel,
        channel.makefile("r", encoding="utf-8") as lines,
    ):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        order = ChildOrder.model_validate_json(lines.readline())
        die_with(order.parent_pid)
        settings = order.settings
        log_as_json()
        memory = memory_bound(settings.child_memory_bytes, rules_for(settings.device))
        set_limits(Limits(memory_bytes=memory, file_bytes=settings.child_file_bytes))
        child = Child(order)
        channel.sendall(READY)
        jobs = SimpleQueue[Mapping[str, Any] | None]()
        Thread(target=child.listen, args=(lines, jobs), daemon=True).start()
        while (job := jobs.get()) is not None:
            child.perform(job["job"], job["execution"])
            channel.sendall(DONE)


if __name__ == "__main__":
    main()
