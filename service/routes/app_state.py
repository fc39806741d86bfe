"""The state of a running app, made once by `service.app`; only routes depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from redis import Redis

from service.browsers.browser_tokens import BrowserTokens
from service.gauges import Confined
from service.identities.enrolment import Enrolment
from service.identities.erasing import IdentityEraser, JobRemover
from service.identities.refinement import Refinement
from service.identities.registration import Registration
from service.intake.fetching import GuardedClient
from service.intake.parts import PartReceiver
from service.intake.uploads import UploadReceiver
from service.jobs.batches import Batches, BatchViews
from service.jobs.delivery_log import DeliveryLog
from service.jobs.job_answers import JobAnswers
from service.jobs.job_events import JobEvents
from service.jobs.job_views import JobViews
from service.jobs.one_call import OneCall
from service.jobs.results import Results
from service.jobs.submission import JobSubmission
from service.jobs.webhooks import WebhookSender
from service.protocol.bodies import BodyReader
from service.protocol.idempotency import Idempotency
from service.protocol.key_watch import KeyWatch
from service.protocol.observability import Metrics
from service.sandbox.child import SandboxedChild
from service.settings import Settings
from service.trust.blocklisting import Blocklisting
from service.trust.chain_check import ChainCheck
from service.trust.verification import Verifier
from service.trust.visitors import Visitors
from worker.provenance.audit.archive import AuditArchive
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.batches import BatchStore
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.key_store import KeyStore
from worker.stores.media.media_store import MediaStore
from worker.stores.outbox import Outbox


@dataclass(frozen=True)
class AppState:
    """Everything that routes use; the stores are synchronous and are called from threads."""

    settings: Settings
    metrics: Metrics
    all_metrics: CollectorRegistry  # with those that the store keeps for all processes
    children: Mapping[str, Confined]
    bodies: BodyReader
    idempotency: Idempotency

    # For the readiness check alone; everything else goes through a store.
    redis: Redis
    jobs: JobStore
    queue: JobQueue
    media: MediaStore
    identities: IdentityStore
    keys: KeyStore
    tokens: BrowserTokens
    key_watch: KeyWatch
    outbox: Outbox
    deliveries: DeliveryLog
    sender: WebhookSender
    poster: GuardedClient
    audit: AuditLog
    audit_trail: AuditArchive
    chain_check: ChainCheck

    uploads: UploadReceiver
    parts: PartReceiver
    prober: SandboxedChild
    enrolment: Enrolment
    registration: Registration
    refinement: Refinement
    identity_eraser: IdentityEraser

    submission: JobSubmission
    one_call: OneCall
    batches: Batches
    batch_store: BatchStore
    batch_views: BatchViews
    events: JobEvents
    answers: JobAnswers
    views: JobViews
    results: Results
    job_remover: JobRemover

    verifier: Verifier
    visitors: Visitors
    blocklisting: Blocklisting
    blocklist_visitors: Visitors


async def state_of(request: Request) -> AppState:  # async, or FastAPI would call it in a thread
    """Return the state of the app that answers `request`."""
    return cast(AppState, request.app.state.service)


State = Annotated[AppState, Depends(state_of)]
