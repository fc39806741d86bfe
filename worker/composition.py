"""Opens the stores a worker works with: the part of its composition that parent and child share."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings import WorkerSettings
from worker.stores.connection import connect
from worker.stores.identity_store import IdentityLimits, IdentityStore
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.media_store import MediaStore


@dataclass(frozen=True)
class Stores:
    """The stores a worker works with."""

    store: JobStore
    attempts: JobAttempts
    media: MediaStore
    identities: IdentityStore
    queue: JobQueue


def open_stores(settings: WorkerSettings) -> Stores:
    """Return the stores at the addresses in the settings; nothing is contacted yet."""
    redis = connect(settings.store_url, timeout_s=15.0, replicas=settings.store_replicas)
    store = JobStore(redis, settings.jobs.limits())
    attempts = JobAttempts(store)
    identities = IdentityStore(redis, IdentityLimits(weights_bytes=settings.weights_bytes))

    return Stores(
        store,
        attempts,
        MediaStore(
            settings.media_dir, redis, tenant_stored_bytes=settings.jobs.tenant_stored_bytes
        ),
        identities,
        JobQueue(redis, attempts),
    )
