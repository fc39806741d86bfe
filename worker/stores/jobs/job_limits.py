"""The bounds that admission, delivery and keeping hold to."""

from __future__ import annotations

from dataclasses import dataclass

from worker.stores.listing import LOOKED_AT


@dataclass(frozen=True)
class JobLimits:
    """How much may be in flight and how long things are kept.

    A tenant's own record may set other bounds.
    """

    # Of all tenants: what a few workers do in some minutes, beyond which waiting helps nobody.
    max_jobs: int = 1000
    # The disk, not the store, is what inputs fill.
    max_bytes: int = 64 << 30
    # A fifth of all: one tenant cannot fill the queue alone.
    tenant_jobs: int = 200
    tenant_bytes: int = 16 << 30
    # More workers than that are shared, however many a tenant could use.
    tenant_running: int = 64
    # Uploads and results of one tenant: a day's work, and too little to fill a common disk alone.
    tenant_stored_bytes: int = 16 << 30
    # Tasks that RQ holds and no worker has begun; few, so that fairness is decided late.
    window: int = 8
    # An input that killed three children will kill the next.
    max_begun: int = 3
    # Deliveries, begun or not: a bound for workers that die before they begin.
    max_attempts: int = 20
    # Longer than the longest accepted video takes on one worker.
    default_deadline_s: float = 6 * 3600.0
    # A day: a client that was down for a night still finds its results.
    result_ttl_s: float = 24 * 3600.0
    pack_after_s: float = 600.0  # until then a client may still follow the job's events
    record_ttl_s: int = 8 * 86400  # longer than the webhook schedule
    # The events of a job whose record was not packed in time: larger than the record, and whoever
    # follows the job has them by then.
    events_ttl_s: int = 3600
    # As the API's documentation promises; retries come within minutes.
    idempotency_ttl_s: float = 24 * 3600.0
    looked_at: int = LOOKED_AT
