"""Deadlines, expiry and erasure while no worker is there to see to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from anyio import to_thread

from worker.errors import StoreError
from worker.process.upkeep.expiry import ORPHAN_AGE_S, ExpirySweep
from worker.stores.erasure import LogRewriter
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore
from worker.stores.upkeep import Upkeep

log = logging.getLogger(__name__)

_EVERY_S = 5.0  # what is due must be deleted within a minute
_LOST_AFTER_S = 60.0  # of a cancellation that no worker has carried out


class Overdue:
    """Ends jobs past their deadline and deletes what has expired, unless a worker leads.

    Several processes may do so at once: each step is harmless when repeated.
    """

    def __init__(
        self,
        jobs: JobStore,
        queue: JobQueue,
        media: MediaStore,
        identities: IdentityStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._upkeep = Upkeep(jobs.redis, clock)
        self._queue = queue
        self._media = media
        self._expiry = ExpirySweep(media, identities, clock)
        self._rewriter = LogRewriter(jobs.redis, clock)

    async def run(self) -> None:
        """See to what is due, for ever; the store may go away and come back."""
        while True:
            try:
                await to_thread.run_sync(self.tick)
            # An outage is for the readiness check to tell; here it is waited for.
            except StoreError as error:
                log.warning("store out of reach", extra={"code": error.code})
            except Exception:  # the outermost loop: no caller could go on
                log.exception("deadlines and expiry failed")

            await asyncio.sleep(_EVERY_S)

    def tick(self) -> bool:
        """See to what is due now; False when a worker does. Raises StoreError."""
        self._media.tidy(ORPHAN_AGE_S)  # uploads are written here, on a disk that may be ours alone
        # Two that do the same are harmless, but cost the store twice.
        if self._upkeep.is_led():
            return False

        for job_id in self._upkeep.past_deadline():
            self._jobs.request_cancel(job_id, "deadline_exceeded")

        self._end_lost_cancellations()
        self._expiry.run()
        self._rewriter.run()

        return True

    def _end_lost_cancellations(self) -> None:
        if self._queue.workers():
            return  # one of them may still work on the job

        # Nobody carries them out: a client that cancelled must see the end nevertheless.
        for job_id in self._upkeep.canceling_for(_LOST_AFTER_S):
            self._jobs.settle_cancel(job_id)
            self._media.results.delete_all(job_id)
