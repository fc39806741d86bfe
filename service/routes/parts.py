"""The parts of a running service, made once by `service.app` and handed to the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request
from redis import Redis

from service.identities.enrolment import Enrolment
from service.intake.fetching import GuardedClient
from service.intake.uploads import Intake
from service.jobs.job_events import JobEvents
from service.protocol.idempotency import Idempotency
from service.protocol.observability import Metrics
from service.sandbox.child import SandboxedChild
from service.settings import Settings
from worker.stores.audit_log import AuditLog
from worker.stores.identity_store import IdentityStore
from worker.stores.job_queue import JobQueue
from worker.stores.job_store import JobStore
from worker.stores.key_store import KeyStore
from worker.stores.media_store import MediaStore
from worker.stores.outbox import Outbox


@dataclass(frozen=True)
class Parts:
    """Everything that routes use; the stores are synchronous and are called from threads."""

    settings: Settings
    redis: Redis
    jobs: JobStore
    queue: JobQueue
    media: MediaStore
    identities: IdentityStore
    keys: KeyStore
    outbox: Outbox
    audit: AuditLog
    intake: Intake
    prober: SandboxedChild
    enrolment: Enrolment
    fetcher: GuardedClient
    events: JobEvents
    idempotency: Idempotency
    metrics: Metrics


async def parts_of(request: Request) -> Parts:  # async, or FastAPI would call it in a thread
    """Return the parts of the app that answers `request`."""
    return cast(Parts, request.app.state.parts)
