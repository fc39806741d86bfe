"""The packs of this installation, and how busy it is."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends

from service import schemas
from service.caller import Caller
from service.protocol.openapi import problems
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from worker.stores.jobs.deliveries import QUEUES

router = APIRouter(prefix="/v1", tags=["capacity"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]


@router.get("/models", responses=problems())
async def list_models(_caller: Reader, state: State) -> schemas.ModelList:
    """List the packs in use, with the execution provider that runs them."""
    about = state.enrolment.about
    models: tuple[schemas.Model, ...] = ()

    if about:
        # None until the enrolment child has loaded its pack: then the list is empty, not an error.
        models = (
            schemas.Model(
                id=about["pack"], name=about["name"], default=True, provider=about["provider"]
            ),
        )

    return schemas.ModelList(data=models)


@router.get("/capacity", responses=problems())
async def capacity(caller: Reader, state: State) -> schemas.Capacity:
    """Return how full the queues are, and how much of them this tenant uses."""
    return await to_thread.run_sync(_capacity, state, caller.tenant)


def _capacity(state: AppState, tenant: str) -> schemas.Capacity:
    backlog = {name: state.jobs.lines.backlog(name) for name in QUEUES}
    quota = state.jobs.quota(tenant)
    # Read from the store each time: other processes write as well.
    stored_bytes, max_stored_bytes = state.media.storage.of_tenant(tenant)
    queues = tuple(
        schemas.QueueCapacity(
            name=name,
            queued=load.queued,
            running=load.running,
            oldest_age_s=load.oldest_age_s if load.queued else None,
        )
        for name, load in backlog.items()
    )

    # The same figures that admission counts, so that `accepting` agrees with its answer.
    total = sum(load.queued + load.running for load in backlog.values())
    return schemas.Capacity(
        queues=queues,
        workers=len(state.queue.workers()),
        # A draining process accepts nothing, however empty the queues are.
        accepting=total < state.jobs.limits.max_jobs and not state.events.draining,
        limit=state.jobs.limits.max_jobs,
        tenant=schemas.TenantUse(
            jobs=quota.jobs,
            bytes=quota.bytes,
            max_jobs=quota.max_jobs,
            max_bytes=quota.max_bytes,
            stored_bytes=stored_bytes,
            max_stored_bytes=max_stored_bytes,
        ),
    )
