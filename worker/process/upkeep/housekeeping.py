"""What a worker's parent does beside RQ, once a second in a thread: reconcile, cancel, erase,
drain.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.composition import Stores
from worker.errors import StoreError
from worker.process.upkeep.reconciler import CANCEL_GRACE_S, Reconciler
from worker.process.warm_worker import WarmWorker
from worker.stores.erasure import ErasureFeed

log = logging.getLogger(__name__)

# A cancelled job's child is killed within 2.5 s of the request: grace and one tick.
TICK_S = 1.0


class Housekeeping(threading.Thread):
    """Ticks until stopped; a store that is away is waited for."""

    def __init__(
        self,
        worker: WarmWorker,
        stores: Stores,
        duties: Sequence[Callable[[], None]] = (),
        heartbeat_file: Path | None = None,
    ) -> None:
        """Keep house for `worker`; `duties` are done once a second while it leads."""
        super().__init__(name="housekeeping", daemon=True)
        self._worker = worker
        self._upkeep = stores.jobs.upkeep
        self._erasures = ErasureFeed(stores.jobs.redis)
        self._media = stores.media
        self._heartbeat_file = heartbeat_file
        self._reconciler = Reconciler(worker.name, stores, duties=duties)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Tick; the outermost loop of this thread, so that no surprise ends it."""
        while not self._stopping.wait(TICK_S):
            if self._heartbeat_file is not None:
                self._heartbeat_file.touch()
            try:
                # First: it must happen in time even where the store is away.
                self._worker.give_up_if_draining_too_long()
                self._kill_deaf_attempt()
                self._pass_on_erasures()
                self._reconciler.tick()
                self._media.blobs.tidy()
            except StoreError as error:
                log.warning("store away", extra={"code": error.code})
            # A thread that ends in silence would take leadership, cancellation and erasure with it.
            except Exception:
                log.exception("housekeeping failed")

    def stop(self) -> None:
        """End the thread and wait for its last tick."""
        self._stopping.set()
        # Longer than a tick that waits for a slow store; the process ends in any case.
        self.join(timeout=5.0)

    def _kill_deaf_attempt(self) -> None:
        """Kill the child when its job was canceled and it has not noticed."""
        # A copy: the main thread may finish the task at any time.
        task = self._worker.current
        if task is None:
            return

        since = self._upkeep.canceling_since(task.job_id)
        # Children hear of a cancellation with their next report; this is for those that do not
        # report.
        if since is not None and time.time() - since > CANCEL_GRACE_S:
            log.warning("attempt killed", extra={"task": task.id, "attempt": task.attempt})
            self._worker.kill_current(task)

    def _pass_on_erasures(self) -> None:
        """Tell the child to forget erased identities, also while it is idle."""
        for identity_id in self._erasures.new():
            self._worker.child.forget(identity_id)
