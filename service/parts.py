"""The parts of a running service, made once by `service.app` and handed to the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request
from redis import Redis

from service.enrolment import Enrolment
from service.fetching import GuardedClient
from service.idempotency import Idempotency
from service.job_events import JobEvents
from service.observability import Metrics
from service.settings import Settings
from service.uploads import Intake
from worker.audit_log import AuditLog
from worker.identity_store import IdentityStore
from worker.job_queue import JobQueue
from worker.job_store import JobStore
from worker.key_store import KeyStore
from worker.media_store import MediaStore
from worker.outbox import Outbox


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
    enrolment: Enrolment
    fetcher: GuardedClient
    events: JobEvents
    idempotency: Idempotency
    metrics: Metrics


async def parts_of(request: Request) -> Parts:  # async, or FastAPI would call it in a thread
    """Return the parts of the app that answers `request`."""
    return cast(Parts, request.app.state.parts)
