"""The HTTP application's composition root.

This process never imports cv2, numpy, onnxruntime, av or PIL.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import FrameType

from anyio import to_thread
from fastapi import FastAPI
from redis import Redis
from starlette.middleware.cors import CORSMiddleware

from service import schemas
from service.identities.enrolment import Enrolment
from service.intake.fetching import AddressGuard, GuardedBackend, GuardedClient
from service.intake.uploads import Intake
from service.jobs.job_events import JobEvents
from service.jobs.webhooks import Courier
from service.protocol import openapi, problems
from service.protocol.idempotency import Idempotency
from service.protocol.observability import Metrics, RequestScope
from service.routes import (
    capacity,
    health,
    identities,
    jobs,
    keys,
    swaps,
    uploads,
    webhook_endpoints,
)
from service.routes.parts import Parts
from service.sandbox.child import SandboxedChild
from service.settings import Settings
from worker.errors import WorkerError
from worker.sandbox.confinement import require_complete
from worker.settings import JobSettings
from worker.stores.audit_log import AuditLog
from worker.stores.connection import connect, require_suitable
from worker.stores.identity_store import IdentityLimits, IdentityStore
from worker.stores.job_attempts import JobAttempts
from worker.stores.job_queue import JobQueue
from worker.stores.job_store import JobStore
from worker.stores.key_store import KeyStore
from worker.stores.media_store import MediaStore
from worker.stores.outbox import Outbox

log = logging.getLogger(__name__)

THREADS = 64  # each is one short call of the store or the disk; waits hold none
_DESCRIPTION = "Register a face once, swap it into any picture or film."


def create_app(settings: Settings) -> FastAPI:
    """Return the application.

    Its lifespan connects to the store and starts the sandboxed children.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings, metrics) as parts:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="Likeness", version="1", description=_DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    problems.install(app, WorkerError)
    for module in (uploads, identities, swaps, jobs, webhook_endpoints, keys, capacity, health):
        app.include_router(module.router)
    openapi.describe(
        app,
        (
            schemas.RegisterRequest,
            schemas.SwapRequest,
            schemas.AnalysisRequest,
            schemas.WebhookEndpointRequest,
            schemas.KeyRequest,
        ),
    )
    if settings.cross_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cross_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(RequestScope, metrics=metrics)
    return app


@asynccontextmanager
async def running(settings: Settings, metrics: Metrics) -> AsyncIterator[Parts]:
    """Make the parts, keep their background tasks going, and take them down in reverse."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    async with AsyncExitStack() as stack:
        redis = connect(settings.store_url)
        stack.callback(redis.close)
        await to_thread.run_sync(require_suitable, redis)
        parts = _parts(settings, redis, metrics)
        stack.push_async_callback(parts.events.close)
        stack.push_async_callback(parts.fetcher.close)
        stack.push_async_callback(parts.intake.close)
        stack.push_async_callback(parts.enrolment.stop)
        if settings.device == "cuda":
            await (
                parts.enrolment.start()
            )  # a GPU that is not there must stop the service, not slow it down
        if settings.require_sandbox:
            await _require_sandbox(parts)
        courier = Courier(parts.outbox, parts.jobs, parts.fetcher, metrics, settings.public_url)
        for background in (parts.enrolment.keep_ready(), parts.intake.warm_up(), courier.run()):
            task = asyncio.create_task(background)
            stack.push_async_callback(_ended, task)
        stack.callback(_on_sigterm(parts.events.drain))
        yield parts


def _parts(settings: Settings, redis: Redis, metrics: Metrics) -> Parts:
    store = JobStore(redis, JobSettings().limits())
    media = MediaStore(settings.media_dir, redis)
    prober = SandboxedChild(
        "service.sandbox.probe_child",
        [str(settings.probe_memory_bytes)],
        settings.enrolment_start_timeout_s,
        metrics.child_restarts.labels("probe").inc,
    )
    backend = GuardedBackend(AddressGuard(settings.trusted_networks))
    return Parts(
        settings=settings,
        redis=redis,
        jobs=store,
        queue=JobQueue(redis, JobAttempts(store)),
        media=media,
        identities=IdentityStore(redis, IdentityLimits(weights_bytes=settings.weights_bytes)),
        keys=KeyStore(redis),
        outbox=Outbox(redis),
        audit=AuditLog(redis),
        intake=Intake(settings, media, prober),
        prober=prober,
        enrolment=Enrolment(settings, metrics),
        fetcher=GuardedClient(backend, settings.fetch_timeout_s),
        events=JobEvents(settings.store_url, settings.max_waiters, metrics.waiters),
        idempotency=Idempotency(redis),
        metrics=metrics,
    )


async def _require_sandbox(parts: Parts) -> None:
    """Start both children; raises SandboxUnavailable where the kernel does not confine them."""
    await asyncio.gather(parts.enrolment.start(), parts.prober.start())
    for protection in (parts.enrolment.protection, parts.prober.protection):
        require_complete(protection)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _on_sigterm(drain: Callable[[], None]) -> Callable[[], None]:
    """Drain at once when the server is told to stop; returns what undoes it.

    Only the main thread may listen.
    """
    previous = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        drain()
        if callable(previous):
            previous(number, frame)

    def restore() -> None:
        signal.signal(signal.SIGTERM, previous)

    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    signal.signal(signal.SIGTERM, stop)
    return restore
