"""What this installation can do, and how busy it is."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.gauges import read_backlog, read_use
from service.protocol.openapi import problems
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of

router = APIRouter(prefix="/v1", tags=["capacity"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
InParts = Annotated[Parts, Depends(parts_of)]


@router.get("/models", response_model=schemas.ModelList, responses=problems())
async def list_models(caller: Reader, parts: InParts) -> JSONResponse:
    """List the packs in use, with the execution provider that runs them."""
    about = parts.enrolment.about
    models: tuple[schemas.Model, ...] = ()
    if about:
        models = (
            schemas.Model(
                id=about["pack"], name=about["name"], default=True, provider=about["provider"]
            ),
        )
    return JSONResponse(schemas.ModelList(data=models).model_dump(mode="json"))


@router.get("/capacity", response_model=schemas.Capacity, responses=problems())
async def capacity(caller: Reader, parts: InParts) -> JSONResponse:
    """Return how full the queues are, and how much of them this tenant uses."""
    body = await to_thread.run_sync(_capacity, parts, caller.tenant)
    return JSONResponse(body.model_dump(mode="json"))


def _capacity(parts: Parts, tenant: str) -> schemas.Capacity:
    backlog = read_backlog(parts.redis)
    jobs, held_bytes = read_use(parts.redis, tenant)
    queues = tuple(
        schemas.QueueCapacity(
            name=name, queued=load.queued, running=load.running, oldest_age_s=load.oldest_age_s
        )
        for name, load in backlog.items()
    )
    total = sum(load.queued + load.running for load in backlog.values())
    return schemas.Capacity(
        queues=queues,
        workers=len(parts.queue.workers()),
        accepting=total < parts.jobs.limits.max_jobs and not parts.events.draining,
        limit=parts.jobs.limits.max_jobs,
        tenant=schemas.TenantUse(jobs=jobs, bytes=held_bytes),
    )
