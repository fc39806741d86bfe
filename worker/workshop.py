"""Opens the stores a worker works with: the part of its composition that parent and child share."""

from __future__ import annotations

from worker.identity_store import IdentityLimits, IdentityStore
from worker.job_attempts import JobAttempts
from worker.job_queue import JobQueue
from worker.job_store import JobStore
from worker.jobs import Workshop
from worker.media_store import MediaStore
from worker.settings import WorkerSettings
from worker.store import connect


def open_workshop(settings: WorkerSettings) -> Workshop:
    """The stores at the addresses in the settings; nothing is contacted yet."""
    redis = connect(settings.store_url, timeout_s=15.0)
    store = JobStore(redis, settings.jobs.limits())
    attempts = JobAttempts(store)
    identities = IdentityStore(redis, IdentityLimits(weights_bytes=settings.weights_bytes))
    return Workshop(store, attempts, MediaStore(settings.media_dir, redis), identities, JobQueue(redis, attempts))
