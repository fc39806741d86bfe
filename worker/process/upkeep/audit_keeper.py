"""The leading worker archives the audit trail, signs its head, and expires records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from worker.errors import WorkerError
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.certificates import Signer
from worker.provenance.provenance_store import DAY_S, ProvenanceStore
from worker.stores.audit_log import BATCH, AuditLog

log = logging.getLogger(__name__)

# Half of a round of about a second, after which the leader has to renew its lease: it has jobs to
# look after in the other half.
ARCHIVE_S = 0.5


class AuditKeeper:
    """Call `run` about once a second, in one process at a time."""

    def __init__(
        self,
        audit: AuditLog,
        archive: AuditArchive,
        signer: Signer,
        records: ProvenanceStore,
        keep_days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._audit = audit
        self._archive = archive
        self._signer = signer
        self._records = records
        self._keep_days = keep_days
        self._clock = clock
        self._last_expiry = 0.0

    def run(self) -> None:
        """Archive what is pending; a full disk is logged, the entries stay in the store."""
        now = self._clock()
        try:
            self._take_in_time()

            # After the archiving, so that the head covers what was just written.
            self._archive.sign_head(self._signer.sign, now)
            # Records are kept for years; a day more or less does not matter, and the walk reads
            # many files.
            if now - self._last_expiry >= DAY_S:
                self._last_expiry = now
                self._records.expire(self._keep_days)
        # Logged, not raised: jobs must go on while the trail's disk is full.
        except WorkerError as error:
            log.error("audit trail not archived", extra={"code": error.code})

    def _take_in_time(self) -> None:
        """Archive batch after batch for a bounded time: after an outage many entries wait, and new
        ones may come faster than they are archived.
        """
        end = time.monotonic() + ARCHIVE_S
        while self._archive.take(self._audit) == BATCH and time.monotonic() < end:
            pass
