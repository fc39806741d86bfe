"""Opens the stores a worker works with, and the never-swap list."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from worker.blocklist.entries import BlocklistStore
from worker.blocklist.reviews import ReviewStore
from worker.blocklist.screening import Screening
from worker.provenance.trust_store import TrustStore
from worker.settings import InstallationSettings, WorkerSettings
from worker.stores.audit_log import AuditLog
from worker.stores.connection import connect
from worker.stores.identities.identity_store import IdentityLimits, IdentityStore
from worker.stores.identities.identity_vault import IdentityVault
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_place import open_media
from worker.stores.media.media_store import MediaStore
from worker.stores.refinements import Refinements


@dataclass(frozen=True)
class Stores:
    """The stores a worker works with."""

    jobs: JobStore
    attempts: JobAttempts
    media: MediaStore
    identities: IdentityStore
    queue: JobQueue


def open_stores(settings: WorkerSettings) -> Stores:
    """Return the stores at the addresses in the settings; nothing is contacted yet."""
    # Longer than the API's: a worker rather waits for a slow store than drops an attempt.
    redis = connect(settings.store_url, timeout_s=15.0, replicas=settings.store_replicas)
    jobs = JobStore(redis, settings.jobs.limits())
    attempts = JobAttempts(jobs)
    media = open_media(
        settings.media,
        settings.media_dir,
        redis,
        cache_bytes=settings.media_cache_bytes,
        tenant_stored_bytes=settings.jobs.tenant_stored_bytes,
    )
    identities = IdentityStore(
        redis, IdentityVault(media.blobs), IdentityLimits(weights_bytes=settings.weights_bytes)
    )
    queue = JobQueue(redis, attempts)
    # An update of the pack costs nobody their refined weights: they are trained again.
    identities.on_outdated = Refinements(jobs, queue, identities).start_again

    return Stores(
        jobs=jobs,
        attempts=attempts,
        media=media,
        identities=identities,
        queue=queue,
    )


def open_screening(settings: InstallationSettings, redis: Redis) -> Screening:
    """Return the never-swap list, whether or not it is compared with.

    Raises TrustKeyBroken.
    """
    trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
    trust.prepare()
    return Screening(
        entries=BlocklistStore(redis, trust.blocklist_key()),
        reviews=ReviewStore(redis),
        audit=AuditLog(redis),
    )
