"""Health: whether the service is alive, started and ready; and its metrics.

They need no key: open to anyone who can reach it.
"""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import JsonValue

from service import schemas
from service.gauges import protections_of
from service.protocol.openapi import Responses, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from worker.errors import StoreError
from worker.sandbox.confinement import Protection
from worker.stores.connection import reaching

router = APIRouter(tags=["health"])

_UNAVAILABLE: Responses = {
    503: {"model": schemas.Health, "description": "Not ready; `checks` names what is missing."}
}


@router.get("/livez", responses=problems(anonymous=True))
async def livez() -> schemas.Health:
    """Return ok as long as the process answers."""
    return schemas.Health(status="ok")


@router.get(
    "/startupz",
    responses={**problems(anonymous=True), **_UNAVAILABLE},
)
async def startupz(response: Response, state: State) -> schemas.Health:
    """Return ok once the enrolment child has loaded its pack."""
    # Separate from readiness: an orchestrator restarts what never starts, and only stops sending
    # requests to what is not ready.
    started = state.enrolment.ready
    response.status_code = 200 if started else 503
    return schemas.Health(status="ok" if started else "starting", checks={"enrolment": started})


@router.get("/readyz", responses={**problems(anonymous=True), **_UNAVAILABLE})
async def readyz(response: Response, state: State) -> schemas.Health:
    """Return ok while requests can be served.

    The store answers, the media directory can be written to, the pack is loaded, and no shutdown
    has begun.
    """
    about = state.enrolment.about
    # Both may block on a socket or a disk that hangs, so they run in threads.
    store = await to_thread.run_sync(_store_answers, state)
    media = await to_thread.run_sync(state.media.installation.is_usable)
    ready = store and media and state.enrolment.ready and not state.events.draining
    checks = {
        "store": store,
        "media": media,
        "enrolment": state.enrolment.ready,
        "draining": state.events.draining,
        "pack": about.get("pack"),
        "provider": about.get("provider"),
        "provenance": state.settings.provenance,
        "nudity_check": state.settings.nudity_check,
        "age_check": state.settings.age_check,
        "blocklist": state.settings.blocklist,
        "verify": state.settings.verify,
        # Not a condition of readiness: an operator decides with LIKENESS_REQUIRE_SANDBOX.
        "sandbox": await to_thread.run_sync(_sandbox, state),
    }

    response.status_code = 200 if ready else 503
    return schemas.Health(status="ok" if ready else "unavailable", checks=checks)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: success("Prometheus text.", content={"text/plain": {"schema": {"type": "string"}}}),
        **problems("not_found", anonymous=True),
    },
)
async def metrics(state: State) -> Response:
    """Return the service's counters, and those that the store keeps for all processes.

    Where they have a port of their own, they are not shown here.
    """
    if state.settings.metrics_port:
        raise ServiceError("not_found")

    text = await to_thread.run_sync(generate_latest, state.all_metrics)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _sandbox(state: AppState) -> dict[str, JsonValue]:
    """Return what the kernel enforces on each process that decodes, by its name."""
    try:
        workers = protections_of(state.queue.workers())
    # The API's own children can be described while the store is away.
    except StoreError:
        workers = {}

    return {
        name: {**protection.model_dump(), "missing": list(protection.missing)}
        for name, protection in (_children(state) | workers).items()
    }


def _children(state: AppState) -> dict[str, Protection]:
    known = {name: child.protection for name, child in state.children.items()}
    return {name: protection for name, protection in known.items() if protection is not None}


def _store_answers(state: AppState) -> bool:
    try:
        with reaching():
            return bool(state.redis.ping())
    except StoreError:
        return False
