"""Brings back what a crash lost: one leader compares our record with what RQ really holds, and
delivers again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from worker.composition import Stores
from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.process.upkeep.expiry import ExpirySweep
from worker.stores.erasure import LogRewriter
from worker.stores.jobs.deliveries import QUEUES

log = logging.getLogger(__name__)

# Two rounds and a half: a leader that misses one keeps its place, and a dead one is replaced soon.
LEADER_TTL_MS = 2500
# What is due must be deleted within a minute; a sweep with nothing to do is one command.
EXPIRY_EVERY_S = 5.0
# It walks the whole media directory, and orphans are rare.
ORPHANS_EVERY_S = 600.0
CANCEL_GRACE_S = 1.5  # with the tick of one second, the hard kill comes within 2.5 s


class Reconciler:
    """Runs in every worker's parent; one of them leads. Call `tick` about once a second."""

    def __init__(
        self,
        name: str,
        stores: Stores,
        clock: Callable[[], float] = time.time,
        duties: Sequence[Callable[[], None]] = (),
    ) -> None:
        """Lead under `name`; `duties` are done in each round, besides the jobs'."""
        self._name = name
        self._duties = duties
        self._stores = stores
        self._upkeep = stores.jobs.upkeep
        self._expiry = ExpirySweep(stores.media, stores.identities, clock)
        self._rewriter = LogRewriter(stores.jobs.redis, clock)
        self._clock = clock
        self._missing: frozenset[tuple[Task, QueueName]] = frozenset()
        self._last_expiry = self._last_orphans = clock()

    def tick(self) -> bool:
        """One round of housekeeping; False when another leads. Raises StoreError."""
        if not self._upkeep.lead(self._name, LEADER_TTL_MS):
            # Whoever leads later begins anew: an old finding may be settled by then.
            self._missing = frozenset()
            return False

        for job_id in self._upkeep.past_deadline():
            # Deadlines end like cancellations, so that one way of ending is enough.
            self._stores.jobs.request_cancel(job_id, "deadline_exceeded")

        self._revive()
        self._end_canceled()
        # After the revival, so that what was revived is delivered in this round.
        self._stores.queue.deliver_all()
        self._rewriter.run()
        self._sweep()

        for duty in self._duties:
            duty()

        return True

    def _revive(self) -> None:
        """Deliver again what was handed out but is nowhere.

        Seen so twice, because moving takes a moment.
        """
        # A task on its way from RQ's queue to a worker is in neither for a moment.
        handed_out = self._handed_out()
        missing = handed_out - self._held() if handed_out else handed_out
        for task, _ in missing & self._missing:
            outcome = self._stores.attempts.redeliver(task)
            log.warning(
                "delivered again",
                extra={"task": task.id, "attempt": task.attempt, "outcome": outcome},
            )

        self._missing = missing

    def _handed_out(self) -> frozenset[tuple[Task, QueueName]]:
        return frozenset(
            (task, queue) for queue in QUEUES for task in self._stores.jobs.lines.handed_out(queue)
        )

    def _held(self) -> frozenset[tuple[Task, QueueName]]:
        return frozenset(
            (task, queue) for queue in QUEUES for task in self._stores.queue.held(queue)
        )

    def _end_canceled(self) -> None:
        """End jobs that were to be canceled when the process that asked, or the one that ran them,
        died.
        """
        overdue = self._upkeep.canceling_for(CANCEL_GRACE_S)
        if not overdue:
            return

        # A live worker ends its own job, and kills its child if need be.
        running = {task.job_id for task, _ in self._handed_out() & self._held()}
        for job_id in overdue:
            if job_id not in running:
                self._stores.jobs.settle_cancel(job_id)
                self._stores.media.results.delete_all(job_id)

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._last_expiry >= EXPIRY_EVERY_S:
            self._last_expiry = now
            self._expiry.run()

        if now - self._last_orphans >= ORPHANS_EVERY_S:
            self._last_orphans = now
            self._expiry.sweep_orphans()
