"""Batches: each of some identities into each of many targets, by one request."""

from __future__ import annotations

from functools import partial as bound
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from service import schemas
from service.caller import Caller
from service.jobs.batch_zip import zipped
from service.jobs.batches import MAX_LISTED
from service.protocol.idempotency import Created, fingerprint, key_of
from service.protocol.openapi import (
    BINARY,
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    JSON_BODY,
    json_body,
    problems,
    success,
)
from service.protocol.paging import next_link
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from worker.stores.jobs.batches import BatchRecord

router = APIRouter(prefix="/v1/batches", tags=["batches"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

# What the checks of a single job say, of any job of the batch.
_CONSENT = ("consent_missing", "consent_expired", "consent_scope", "identity_erased")
_QUEUE = ("not_found", "upload_in_use", "quota_exceeded", "storage_quota", "queue_full", "draining")


@router.post(
    "",
    status_code=201,
    response_model=schemas.Batch,
    responses={
        201: success("All jobs are accepted and will not be lost.", "Location"),
        **problems(*JSON_BODY, "fetch_refused", *IDEMPOTENT, *_CONSENT, *_QUEUE),
    },
    openapi_extra={**json_body(schemas.BatchRequest), "parameters": [IDEMPOTENCY_KEY]},
)
async def create_batch(request: Request, caller: Writer, state: State) -> Response:
    """Swap each identity into each target: a job for each pair, up to 200, all accepted or none.

    The batch has one status and tells its end by one message, `batch.finished`; its jobs tell
    nothing of their own.
    """
    # Two hundred jobs take a while to write: not in the seconds before the process ends.
    if state.events.draining:
        raise ServiceError("draining")
    body = await state.bodies.json(request, schemas.BatchRequest)

    async def create() -> Created:
        return _created(state, await to_thread.run_sync(state.batches.create, caller, body))

    async def read(batch_id: str) -> Created:
        # As the batch is now: a repeated request finds jobs that have ended meanwhile.
        return _created(state, await _found(state, batch_id, caller))

    # Of the parsed body: the order of its members does not make another request of it.
    mark = fingerprint(request, body.model_dump_json())
    once = bound(state.idempotency.once, caller.tenant, key_of(request), mark)
    return await once(create=create, read=read)


@router.get(
    "",
    responses={
        200: success("A page of batches, newest first.", "Link"),
        **problems("invalid_cursor"),
    },
)
async def list_batches(
    request: Request,
    response: Response,
    caller: Reader,
    state: State,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED, description="Batches a page.")] = MAX_LISTED,
    cursor: Annotated[
        str | None,
        Query(pattern="^bat_[0-9a-z]{26}$", description="`next_cursor` of the page before."),
    ] = None,
) -> schemas.BatchList:
    """List the tenant's batches."""
    read = state.batch_store.list
    records, following = await to_thread.run_sync(read, caller.tenant, limit, cursor)
    response.headers.update(next_link(request, following))
    # One after the other: each reads up to 200 jobs, and a page must not take the store to itself.
    views = [await to_thread.run_sync(state.batch_views.of, record) for record in records]
    return schemas.BatchList(data=tuple(views), next_cursor=following)


@router.get("/{batch_id}", responses=problems("not_found"))
async def get_batch(batch_id: str, caller: Reader, state: State) -> schemas.Batch:
    """Return a batch: how many of its jobs are where, and each of them."""
    return await _view(state, await _found(state, batch_id, caller))


@router.post("/{batch_id}/cancel", responses=problems("not_found"))
async def cancel_batch(batch_id: str, caller: Writer, state: State) -> schemas.Batch:
    """Ask all jobs of a batch to end; those that have ended keep their results."""
    batch = await _found(state, batch_id, caller)
    await to_thread.run_sync(state.batches.cancel, batch)
    # Read again: what nobody was working on has ended already.
    return await _view(state, await _found(state, batch_id, caller))


@router.get(
    "/{batch_id}/results",
    response_class=StreamingResponse,
    responses={
        200: success(
            "A ZIP file: the results by target, and `results.csv` about every job.",
            # Bytes first: generators take the first type that they know.
            content=dict.fromkeys(("application/octet-stream", "application/zip"), BINARY),
        ),
        **problems("not_found", "job_not_final"),
    },
)
async def get_batch_results(batch_id: str, caller: Reader, state: State) -> Response:
    """Return all results of a finished batch as one ZIP file, which is made while it is sent."""
    batch = await _found(state, batch_id, caller)
    # A ZIP that grows while it is fetched would be another file each time.
    if batch.finished_at is None:
        raise ServiceError(
            "job_not_final", "Jobs of the batch still run", headers={"Retry-After": "2"}
        )

    # The jobs' records now, their files one by one while they are sent.
    ids = await to_thread.run_sync(state.batch_store.jobs, batch.id)
    jobs = await to_thread.run_sync(state.jobs.several, ids)
    return StreamingResponse(
        # Made while it is sent, so that a batch of videos needs no room on this disk.
        zipped(state.media, jobs, state.key_watch.of(caller.key_id)),
        media_type="application/zip",
        # Ours, like the names inside: those of uploads are never kept.
        headers={"Content-Disposition": f'attachment; filename="{batch.id}.zip"'},
    )


@router.delete(
    "/{batch_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "The batch, its jobs and their results are deleted."},
        **problems("not_found", "job_not_final"),
    },
)
async def delete_batch(batch_id: str, caller: Writer, state: State) -> Response:
    """Delete a finished batch with its jobs and their results."""
    batch = await _found(state, batch_id, caller)
    await to_thread.run_sync(state.batches.delete, batch)
    return Response(status_code=204)


async def _found(state: AppState, batch_id: str, caller: Caller) -> BatchRecord:
    return await to_thread.run_sync(state.batch_store.get, batch_id, caller.tenant)


async def _view(state: AppState, batch: BatchRecord) -> schemas.Batch:
    return await to_thread.run_sync(state.batch_views.of, batch)


def _created(state: AppState, batch: BatchRecord) -> Created:
    return Created(batch.id, f"/v1/batches/{batch.id}", state.batch_views.of(batch))
