"""The composition root: which use case gets which tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from redis import Redis

from service.browsers.browser_tokens import BrowserTokens
from service.browsers.signed_urls import UrlSigner
from service.gauges import Collector, Confined
from service.identities.enrolment import Enrolment
from service.identities.erasing import IdentityEraser, JobRemover, PhotoRemover
from service.identities.photos import PhotoOpener
from service.identities.refinement import Refinement
from service.identities.registration import Registration
from service.intake.address_guard import AddressGuard
from service.intake.fetching import GuardedClient
from service.intake.guarded_backend import GuardedBackend
from service.intake.parts import PartReceiver
from service.intake.uploads import UploadReceiver
from service.intake.url_inputs import UrlInputs
from service.jobs.admission import JobAdmission
from service.jobs.batches import Batches, BatchViews
from service.jobs.delivery_log import DeliveryLog
from service.jobs.input_receiver import InputReceiver
from service.jobs.job_answers import JobAnswers
from service.jobs.job_events import JobEvents
from service.jobs.job_views import JobViews
from service.jobs.one_call import OneCall
from service.jobs.overdue import Overdue
from service.jobs.results import Results
from service.jobs.submission import JobSubmission
from service.jobs.webhook_messages import EndMessages
from service.jobs.webhooks import WebhookSender
from service.protocol.bodies import BodyReader
from service.protocol.idempotency import Idempotency
from service.protocol.key_watch import KeyWatch
from service.protocol.observability import Metrics
from service.routes.app_state import AppState
from service.sandbox.child import SandboxedChild, prober
from service.settings import Settings
from service.trust.blocklisting import Blocklisting
from service.trust.chain_check import ChainCheck
from service.trust.verification import TrustAnchors, Verifier
from service.trust.visitors import Visitors
from worker.composition import open_screening
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.provenance_store import ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.settings import JobSettings
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_store import IdentityLimits, IdentityStore
from worker.stores.identities.identity_vault import IdentityVault
from worker.stores.jobs.batches import BatchStore
from worker.stores.jobs.idempotency_store import IdempotencyStore
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import JobStore
from worker.stores.key_store import KeyStore
from worker.stores.media.media_place import open_media
from worker.stores.outbox import Outbox


@dataclass(frozen=True)
class Service:
    """The routes' state, what runs in the background, and what is to be closed at the end."""

    state: AppState
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    closing: Sequence[Callable[[], Awaitable[None]]]


def compose(settings: Settings, redis: Redis, metrics: Metrics) -> Service:
    """Return the service over an open store; nothing is started yet."""
    job_settings = JobSettings()
    jobs = JobStore(redis, job_settings.limits())
    queue = JobQueue(redis, JobAttempts(jobs))
    media = open_media(
        settings.media,
        settings.media_dir,
        redis,
        cache_bytes=settings.media_cache_bytes,
        tenant_stored_bytes=job_settings.tenant_stored_bytes,
    )
    identities = IdentityStore(
        redis, IdentityVault(media.blobs), IdentityLimits(weights_bytes=settings.weights_bytes)
    )
    outbox = Outbox(redis)
    audit = AuditLog(redis)
    # Once at the start: the trail tells under which rules everything after it happened.
    audit.note_policy("service", settings.policy())

    backend = GuardedBackend(AddressGuard(settings.trusted_networks))
    fetcher = GuardedClient(backend, settings.fetch_timeout_s)
    urls = UrlInputs(fetcher, settings.fetch_timeout_s)
    # A client of its own: hanging receivers must not use up the connections of inputs.
    poster = GuardedClient(backend, settings.webhook_timeout_s)
    restarted = metrics.child_restarts.labels("probe").inc
    # One for each kind: a video that takes seconds to measure must not hold up images.
    probers = {kind: prober(settings, restarted) for kind in ("image", "video")}
    uploads = UploadReceiver(settings, media, probers)
    enrolment = Enrolment(settings, metrics)
    keys = KeyStore(redis)
    key_watch = KeyWatch(keys)
    views = JobViews(settings.public_url, UrlSigner(keys.url_secret()))
    results = Results(media, key_watch)
    events = JobEvents(settings.store_url, settings.max_waiters, metrics.waiters, key_watch)

    job_remover = JobRemover(jobs, media)
    photo_remover = PhotoRemover(jobs, media, job_remover)
    photos = PhotoOpener(media, urls, photo_remover, settings.max_photo_bytes)
    refinement = Refinement(jobs, queue, identities)
    screening = open_screening(settings, redis)
    # The list is kept either way, so that entries made before are there when it is turned on again.
    compared = screening if settings.blocklist == "on" else None
    registration = Registration(
        settings, identities, photos, enrolment, refinement, audit, compared
    )
    eraser = IdentityEraser(identities, jobs, job_remover, photo_remover, audit)

    records = ProvenanceStore(media.blobs)
    admission = JobAdmission(settings, jobs, media, identities, records, poster)
    submission = JobSubmission(events, InputReceiver(settings, urls), admission)
    overdue = Overdue(jobs, queue, media, identities)
    deliveries = DeliveryLog(redis)
    batch_store = BatchStore(redis, jobs.limits)
    batch_views = BatchViews(settings.public_url, jobs, batch_store)
    messages = EndMessages(jobs, views, batch_views)
    sender = WebhookSender(outbox, messages, poster, metrics, deliveries)

    trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
    # Keys are made here, by the process that starts first, and not in the middle of a request.
    trust.prepare()
    archive = AuditArchive(settings.audit_dir, trust.audit_key())
    verifier = file_verifier(settings, trust, records, metrics)

    children: dict[str, Confined] = {
        "probe": probers["video"],
        "enrolment": enrolment,
        "verify": verifier,
    }
    all_metrics = CollectorRegistry()
    all_metrics.register(metrics.registry)
    all_metrics.register(Collector(jobs, queue, media, identities, outbox, children))

    state = AppState(
        settings=settings,
        metrics=metrics,
        all_metrics=all_metrics,
        children=children,
        bodies=BodyReader(settings),
        idempotency=Idempotency(IdempotencyStore(redis)),
        redis=redis,
        jobs=jobs,
        queue=queue,
        media=media,
        identities=identities,
        keys=keys,
        tokens=BrowserTokens(redis, keys),
        key_watch=key_watch,
        outbox=outbox,
        deliveries=deliveries,
        sender=sender,
        poster=poster,
        audit=audit,
        uploads=uploads,
        parts=PartReceiver(media, uploads, float(settings.upload_ttl_s)),
        prober=probers["video"],
        enrolment=enrolment,
        registration=registration,
        refinement=refinement,
        identity_eraser=eraser,
        submission=submission,
        batches=Batches(batch_store, jobs, media, admission, job_remover),
        batch_store=batch_store,
        batch_views=batch_views,
        one_call=OneCall(registration, submission, eraser, jobs),
        events=events,
        answers=JobAnswers(jobs, events, views, results),
        views=views,
        results=results,
        job_remover=job_remover,
        audit_trail=archive,
        chain_check=ChainCheck(archive, trust.is_signed),
        verifier=verifier,
        visitors=Visitors(),
        blocklisting=Blocklisting(screening, enrolment),
        # A request costs an encoding, of which there is one at a time for everybody, and a hostile
        # photo a new encoder, for which registrations wait some seconds.
        blocklist_visitors=Visitors(per_minute=5, at_once=1, all_at_once=2, all_per_minute=10),
    )
    return Service(
        state=state,
        background=(enrolment.keep_ready, uploads.warm_up, sender.run, overdue.run),
        closing=(
            events.close,
            fetcher.close,
            poster.close,
            uploads.close,
            enrolment.stop,
            verifier.stop,
        ),
    )


def file_verifier(
    settings: Settings, trust: TrustStore, records: ProvenanceStore, metrics: Metrics
) -> Verifier:
    """Return what verifies files against this installation's keys and records."""
    child = SandboxedChild(
        "service.sandbox.verify_child",
        [str(settings.verify_memory_bytes)],
        settings.enrolment_start_timeout_s,
        metrics.child_restarts.labels("verify").inc,
    )

    anchors = TrustAnchors(
        mark_keys=trust.mark_keys.newest_first,
        roots=trust.anchors(),
        signers=trust.signers(),
        public_sync=settings.mark_sync == "public",
    )

    return Verifier(child, records, anchors, settings.public_url)
