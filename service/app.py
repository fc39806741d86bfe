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
from fastapi import Depends, FastAPI
from starlette.types import Scope

from service import schemas
from service.browsers import console
from service.browsers.compression import CompressAnswers
from service.browsers.cross_origin import CrossOrigin
from service.browsers.live import LivePage
from service.composition import compose
from service.gauges import serve_metrics
from service.protocol import document, problems
from service.protocol.observability import Metrics
from service.protocol.openapi import declared_bodies
from service.protocol.paging import known_parameters
from service.protocol.request_scope import RequestScope
from service.routes import (
    audit,
    batches,
    blocklist,
    capacity,
    exports,
    health,
    identities,
    jobs,
    keys,
    reference,
    swaps,
    verify,
    webhook_endpoints,
)
from service.routes.app_state import AppState
from service.routes.media import presigned, results, resumable, uploads
from service.settings import Settings
from worker.errors import StoreError, WorkerError
from worker.sandbox.confinement import require_complete
from worker.stores.connection import connect, require_suitable

log = logging.getLogger(__name__)

THREADS = 64  # each is one short call to the store or the disk; no wait holds one


def create_app(settings: Settings) -> FastAPI:
    """Return the application.

    Its lifespan connects to the store and starts the sandboxed children.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings, metrics) as state:
            app.state.service = state
            yield

    app = FastAPI(
        title="Likeness",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=document.operation_id,
    )
    problems.install(app, WorkerError)
    files = (uploads, resumable, presigned, results)
    work = (identities, exports, swaps, batches, jobs, webhook_endpoints, keys, audit, blocklist)

    for module in (*files, *work, verify, capacity, console, health, reference):
        app.include_router(module.router, dependencies=[Depends(known_parameters)])

    app.include_router(audit.pages)
    app.mount("/live", LivePage())

    document.describe(
        app,
        requests=(*declared_bodies(), schemas.VerifyRequest),
        answers=(
            schemas.Problem,
            schemas.JobReport,
            schemas.AnalysisResult,
            schemas.JobStreamEvent,
        ),
        events={"jobEnded": schemas.JobEvent, "batchFinished": schemas.BatchEvent},
        public_url=settings.public_url,
    )

    app.add_middleware(CompressAnswers)
    app.add_middleware(CrossOrigin, configured=settings.cross_origins, has_token=_has_token)

    # Added last, so that it is outermost: preflights and failures of others are logged and get an
    # id too.
    app.add_middleware(RequestScope, metrics=metrics, failure=problems.internal_error)
    return app


@asynccontextmanager
async def running(settings: Settings, metrics: Metrics) -> AsyncIterator[AppState]:
    """Compose the service, run its background tasks, and take everything down in reverse."""
    # anyio's default of 40 threads is shared by all calls, also those that wait for a slow disk.
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    async with AsyncExitStack() as stack:
        redis = connect(settings.store_url, replicas=settings.store_replicas)
        # First in, last out: everything below may still use the store while it closes.
        stack.callback(redis.close)
        # Refused at start, not when the first key is evicted.
        await to_thread.run_sync(require_suitable, redis)
        _say_what_is_off(settings)
        service = compose(settings, redis, metrics)
        state = service.state
        await to_thread.run_sync(state.media.installation.join)

        for close in service.closing:
            stack.push_async_callback(close)

        if settings.metrics_port:
            stack.callback(serve_metrics(state.all_metrics, settings.host, settings.metrics_port))

        if settings.device in ("cuda", "openvino"):
            # What was asked for and is not there must stop the service, not slow it down.
            await state.enrolment.start()

        if settings.require_sandbox:
            await _require_sandbox(state)
        for run in service.background:
            stack.push_async_callback(_ended, asyncio.create_task(run()))

        # Last in, first out: when the lifespan ends, draining has begun before anything closes.
        stack.callback(_on_sigterm(state.events.drain))
        yield state


def _say_what_is_off(settings: Settings) -> None:
    """Say in the log which refusals and marks an operator has turned off."""
    for name in ("nudity_check", "age_check", "blocklist", "provenance"):
        if getattr(settings, name) == "off":
            log.warning("turned off by the operator: LIKENESS_%s", name.upper())
    if settings.verify != "public":
        log.warning("not everybody may verify files: LIKENESS_VERIFY is %s", settings.verify)


async def _require_sandbox(state: AppState) -> None:
    """Start what decodes; raises SandboxUnavailable where the kernel does not confine it."""
    # Together, since each takes seconds to load.
    children = (state.enrolment, state.prober, state.verifier)
    await asyncio.gather(*(child.start() for child in children))
    for child in children:
        require_complete(child.protection)


async def _has_token(scope: Scope, origin: str) -> bool:
    """Return whether a browser token serves pages of this origin; no, while there is no store."""
    state: AppState = scope["app"].state.service
    try:
        return await to_thread.run_sync(state.tokens.has_origin, origin)
    except StoreError:
        return False


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _on_sigterm(drain: Callable[[], None]) -> Callable[[], None]:
    """Drain as soon as SIGTERM arrives; return what restores the previous handler.

    Only the main thread may listen.
    """
    previous = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        # uvicorn waits for open responses first: long polls and event streams must end for it to go
        # on.
        drain()
        if callable(previous):
            previous(number, frame)

    def restore() -> None:
        signal.signal(signal.SIGTERM, previous)

    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    signal.signal(signal.SIGTERM, stop)
    return restore
