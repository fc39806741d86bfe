"""Whether the service lives, has started, can serve, and what it counts.

Open to anyone who can reach it.
"""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import JsonValue

from service import schemas
from service.gauges import StoreCollector, protections_of
from service.protocol.openapi import Responses, problems, success
from service.routes.parts import Parts, parts_of
from worker.errors import StoreError
from worker.sandbox.confinement import Protection
from worker.stores.connection import reaching

router = APIRouter(tags=["health"])

InParts = Annotated[Parts, Depends(parts_of)]
_UNAVAILABLE: Responses = {
    503: {"model": schemas.Health, "description": "Not ready; `checks` tells what is missing."}
}


@router.get("/livez", response_model=schemas.Health, responses=problems(anonymous=True))
async def livez() -> schemas.Health:
    """Return ok as long as the process answers."""
    return schemas.Health(status="ok")


@router.get(
    "/startupz",
    response_model=schemas.Health,
    responses={**problems(anonymous=True), **_UNAVAILABLE},
)
async def startupz(parts: InParts) -> JSONResponse:
    """Return ok once the enrolment child has loaded its pack."""
    started = parts.enrolment.ready
    body = schemas.Health(status="ok" if started else "starting", checks={"enrolment": started})
    return JSONResponse(body.model_dump(mode="json"), 200 if started else 503)


@router.get(
    "/readyz", response_model=schemas.Health, responses={**problems(anonymous=True), **_UNAVAILABLE}
)
async def readyz(parts: InParts) -> JSONResponse:
    """Return ok while requests can be served: the store answers, the pack is loaded, no shutdown
    has begun.
    """
    about = parts.enrolment.about
    store = await to_thread.run_sync(_store_answers, parts)
    ready = store and parts.enrolment.ready and not parts.events.draining
    checks = {
        "store": store,
        "enrolment": parts.enrolment.ready,
        "draining": parts.events.draining,
        "pack": about.get("pack"),
        "provider": about.get("provider"),
        "sandbox": await to_thread.run_sync(_sandbox, parts),
    }
    body = schemas.Health(status="ok" if ready else "unavailable", checks=checks)
    return JSONResponse(body.model_dump(mode="json"), 200 if ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: success("Prometheus text.", content={"text/plain": {"schema": {"type": "string"}}}),
        **problems(anonymous=True),
    },
)
async def metrics(parts: InParts) -> Response:
    """Return the service's counters, and those that the store keeps for all processes."""
    collector = StoreCollector(parts.redis, parts.queue, _children(parts))
    text = generate_latest(parts.metrics.registry) + await to_thread.run_sync(collector.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _sandbox(parts: Parts) -> dict[str, JsonValue]:
    """Return what the kernel enforces on each process that decodes, by its name."""
    try:
        workers = protections_of(parts.queue.workers())
    except StoreError:
        workers = {}
    return {
        name: {**protection.model_dump(), "missing": list(protection.missing)}
        for name, protection in (_children(parts) | workers).items()
    }


def _children(parts: Parts) -> dict[str, Protection]:
    known = {"probe": parts.prober.protection, "enrolment": parts.enrolment.protection}
    return {name: protection for name, protection in known.items() if protection is not None}


def _store_answers(parts: Parts) -> bool:
    try:
        with reaching():
            return bool(parts.redis.ping())
    except StoreError:
        return False
