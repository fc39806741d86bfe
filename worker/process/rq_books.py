"""What RQ's records say of a worker and of its jobs, in as few round trips as there can be.

RQ is the carrier only: what is written here finds a worker that died, and nothing else reads it.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rq import Queue, Worker, worker_registration
from rq.executions import Execution
from rq.job import Job
from rq.utils import now
from rq.worker import WorkerStatus

from worker.stores.connection import as_hash
from worker.stores.jobs.deliveries import RQ_TTL_S

if TYPE_CHECKING:
    from redis.client import Pipeline

# how long a dead worker's job looks alive; several heartbeats, so that a busy machine is not a dead
# one
LEASE_S = 8
# RQ sends three heartbeats between two jobs, each a round trip; one that is younger than this is
# good enough. With the wait for work it makes 9 s, well within the 15 s of a live worker.
HEARTBEAT_EVERY_S = 4.0


class BookkeepingWorker(Worker):
    """An RQ worker that books starts, ends and heartbeats together."""

    _known_until = 0.0  # until when what RQ's record says of this worker is fresh

    def book_start(self, job: Job, queue: Queue) -> Execution:
        """Write what RQ's two methods do of a start, in one round trip, and with an end."""
        with self.connection.pipeline() as together:
            execution = Execution.create(job, LEASE_S, together, self.name)
            self.executions[execution.id] = execution
            self.set_state(WorkerStatus.BUSY, together)
            self.heartbeat(LEASE_S, together)
            job.heartbeat(now(), LEASE_S, together)
            job.prepare_for_execution(self.name, together)
            # RQ would keep the record of a job whose worker dies.
            together.expire(job.key, int(job.timeout or 0) + RQ_TTL_S)
            together.lrem(queue.intermediate_queue_key, 1, job.id)
            together.execute()

        return execution

    def book_success(self, job: Job, execution: Execution) -> None:
        """Count the job and forget it: nobody reads RQ's records of results, or waits for them.

        RQ's own way asks for dependents, of which there are none, and takes four round trips.
        """
        took = now() - job.started_at if job.started_at else timedelta()
        with self.connection.pipeline() as together:
            self.increment_successful_job_count(together)
            self.increment_total_working_time(took, together)
            self.cleanup_execution(job, together, execution)
            together.delete(job.key)
            self.set_state(WorkerStatus.IDLE, together)
            self.heartbeat(pipeline=together)
            together.execute()

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Note a state; without a pipeline, RQ's next heartbeat writes it, which follows at once.

        Nothing is to be written where RQ's record has it already.
        """
        if pipeline is not None:
            super().set_state(state, pipeline)
        elif state != self.get_state():
            self._state = state
            self._known_until = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Be known for a while longer, unless the last heartbeat is young enough.

        Anew, where the machine slept until RQ's record of this worker had expired.
        """
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            # With a time-out it is the short lease of a job, which an idle worker must renew.
            self._known_until = 0.0 if timeout else time.monotonic() + HEARTBEAT_EVERY_S
            return
        if time.monotonic() < self._known_until:
            return

        with self.connection.pipeline(transaction=False) as together:
            self.set_state(self.get_state(), together)
            self.heartbeat(timeout, together)
            together.hexists(self.key, "queues")
            *_, is_known = together.execute()

        # A machine that slept: RQ forgot the worker, and nobody would give it work.
        if not is_known:
            self.connection.hset(self.key, mapping=as_hash(self.serialize()))
            worker_registration.register(self)

    def get_heartbeat_ttl(
        self,
        job: Job,  # noqa: ARG002 - RQ's interface, called with keywords
        working_time: float = 0.0,  # noqa: ARG002
    ) -> int:
        """Return a short lease: RQ would take over a minute to find a dead worker."""
        return LEASE_S
