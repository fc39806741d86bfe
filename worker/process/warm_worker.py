"""An RQ worker whose child process stays up with the models loaded.

The parent never imports a model. It keeps the store: RQ's heartbeats, its stopping and its handling
of a killed "work horse" (what RQ calls a child) stay as they are. Each attempt runs in a thread
beside RQ's monitor, which has the child perform it and speaks to the store in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.process.attempts.attempt_thread import AttemptThread
from worker.process.child_process import WarmChild
from worker.process.rq_books import BookkeepingWorker
from worker.settings import WorkerSettings
from worker.stores.jobs.deliveries import task_of
from worker.stores.jobs.job_queue import RunTask, TaskJob, rq_queue

if TYPE_CHECKING:
    from resource import struct_rusage

    from redis import Redis

MONITORING_INTERVAL_S = 2
IDLE_WAIT_S = (
    5  # how long an idle worker blocks before it looks around; RQ takes 15 off `worker_ttl`
)


class WarmWorker(BookkeepingWorker):
    """One worker, one queue, one device, one warm child."""

    max_connection_wait_time = 2.0  # a store that is back must be noticed

    def __init__(
        self,
        name: str,
        queue: QueueName,
        redis: Redis,
        settings: WorkerSettings,
        child: WarmChild,
        run_task: RunTask,
        on_lost: Callable[[Task, bool], None],
    ) -> None:
        # Bound here: no name in the store decides what runs.
        bound = {"run_task": staticmethod(run_task), "queue_name": queue}
        job_class = type("BoundTaskJob", (TaskJob,), bound)
        super().__init__(
            [rq_queue(queue, redis)],
            name=name,
            connection=redis,
            serializer=JSONSerializer,
            job_class=job_class,
            # Longer than a wait for work, so that an idle worker is not taken for dead.
            worker_ttl=IDLE_WAIT_S + 15,
            job_monitoring_interval=MONITORING_INTERVAL_S,
            # RQ's clean-up of its registries; our reconciler does not depend on it.
            maintenance_interval=10,
            # It would put ids of jobs into RQ's prose.
            log_job_description=False,
        )

        self.child = child
        self.current: Task | None = None
        self._settings = settings
        self._on_lost = on_lost
        self._attempt: AttemptThread | None = None
        self._jobs_done = 0
        self._asked_to_stop_at: float | None = None
        self._gave_up = False

    def serialize(self) -> dict[str, str | int]:
        """Say in RQ's record of this worker also what confines its child."""
        return {**super().serialize(), "protection": self.child.protection.model_dump_json()}

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Have the child do the job, then replace a child that died or is due, outside of RQ's
        alarms.
        """
        self.current = task_of(job.id)
        # Before RQ's books say so, which takes a round trip to the store: an attempt is fenced by
        # our own record, and RQ's lease is not looked for in a job's first second.
        self.fork_work_horse(job, queue)
        self.monitor_work_horse(job, queue, self.book_start(job, queue))
        self.set_state(WorkerStatus.IDLE)
        self.current = None
        self._jobs_done += 1

        # Between jobs, outside of RQ's alarms, and not while stopping.
        if not self._stop_requested and (not self.child.pid or self._is_due()):
            self.child.stop()
            self.child.start()
            self._jobs_done = 0
            self.child.await_ready()  # the next job shall go to a worker that can do it now

    def fork_work_horse(self, job: Job, queue: Queue) -> None:  # noqa: ARG002 - RQ's interface
        """Begin the attempt."""
        self.child.ensure_ready()
        self._horse_pid = self.child.pid
        # A thread, because RQ's loop must go on sending heartbeats.
        self._attempt = AttemptThread(lambda: self._run(job))
        self._attempt.start()

    def wait_for_horse(self) -> tuple[int | None, int | None, struct_rusage | None]:
        """Wait until the attempt has ended; status 0 unless it lost the child."""
        attempt = self._running_attempt()
        pid = self.horse_pid
        attempt.wait()
        # Reaped here, where RQ expects to learn how its work horse ended.
        end = self.child.reap() if self.child.lost else (pid, 0, None)

        return end if attempt.lost else (pid, 0, None)

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Watch the attempt as RQ does, then book its end, which RQ leaves to its horse."""
        super().monitor_work_horse(job, queue, execution)
        attempt = self._running_attempt()
        attempt.close()

        if attempt.lost:
            return  # booked as a horse that was killed
        if attempt.error is None:
            self.book_success(job, execution)
        else:
            error = attempt.error
            self._finalize_failure(job, queue, execution, (type(error), error, None))

    def _run(self, job: Job) -> None:
        """Run the task; a job that is not ours fails here."""
        job.func(*job.args)

    def _running_attempt(self) -> AttemptThread:
        if self._attempt is None:
            raise RuntimeError("no attempt was begun")
        return self._attempt

    def teardown(self) -> None:
        """Let go of the child and of RQ."""
        self.child.stop()
        super().teardown()  # type: ignore[no-untyped-call]

    def handle_work_horse_killed(
        self,
        job: Job,  # noqa: ARG002 - RQ's interface
        retpid: int,  # noqa: ARG002
        ret_val: int,  # noqa: ARG002
        rusage: struct_rusage,  # noqa: ARG002
    ) -> None:
        """Have the lost attempt delivered again at once, without waiting for the reconciler."""
        if self.current is not None:
            self._on_lost(self.current, self._gave_up)

    def handle_warm_shutdown_request(self) -> None:
        """Note when the drain began: it does not last for ever."""
        self._asked_to_stop_at = time.monotonic()
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    def give_up_if_draining_too_long(self) -> None:
        """Hand the running job back when it will not be done before the supervisor kills us.

        From any thread.
        """
        asked = self._asked_to_stop_at
        if (
            asked is not None
            and self.horse_pid
            and time.monotonic() - asked > self._settings.drain_s
        ):
            # Tells `on_lost` that the job is not to blame: the attempt is not counted.
            self._gave_up = True
            self.kill_horse()

    def kill_current(self, task: Task) -> None:
        """Kill the child if it works on this task. From any thread."""
        if self.horse_pid and self.current == task:
            self.kill_horse()

    def _is_due(self) -> bool:
        # Memory that fragments over thousands of jobs is returned by a new process.
        too_many = self._jobs_done >= self._settings.recycle_jobs
        return too_many or self.child.rss_bytes() > self._settings.recycle_rss_bytes

    def procline(self, message: Any) -> None:  # noqa: ANN401
        """Leave the process its name: RQ would put job ids into it."""
