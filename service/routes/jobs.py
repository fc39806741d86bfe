"""Jobs: list, read, wait for, follow, cancel, delete."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from service import schemas
from service.caller import Caller
from service.jobs.job_events import BEGINNING, checked_event_id, place_of
from service.jobs.job_stream import server_sent_events
from service.protocol.openapi import PREFER, REF, header, problems, success
from service.protocol.paging import next_link
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from service.schemas.consent import Moment
from worker.contract.jobs import JobRecord, Status
from worker.contract.requests import QUEUE_OF, JobKind
from worker.stores.jobs.job_listing import JobFilter

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]
Admin = Annotated[Caller, Depends(caller_with("admin"))]

# FastAPI describes no event streams, so this is written by hand; a test compares it with what is
# sent.
_EVENT = {"$ref": f"{REF}JobStreamEvent"}
# A requeue is a new admission, and may be refused for what has changed since.
_REQUEUE_FAILURES = ("not_found", "identity_erased", "quota_exceeded", "queue_full")


@router.get(
    "",
    responses={200: success("A page of jobs, newest first.", "Link"), **problems("invalid_cursor")},
)
async def list_jobs(
    request: Request,
    response: Response,
    caller: Reader,
    state: State,
    status: Status | None = None,
    kind: JobKind | None = None,
    identity_id: Annotated[str | None, Query(pattern="^idn_[0-9a-z]{26}$")] = None,
    created_from: Annotated[
        Moment | None, Query(description="Only jobs created then or later.")
    ] = None,
    created_before: Annotated[Moment | None, Query(description="Only jobs created before.")] = None,
    metadata: Annotated[
        str | None,
        Query(
            pattern="^[^:]{1,64}:.{0,200}$",
            description="Only jobs whose `metadata` has this member, as `name:value`.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern="^job_[0-9a-z]{26}$")] = None,
) -> schemas.JobList:
    """List the tenant's jobs.

    A filtered page may be short, even empty, before the last one; go on while there is a cursor.
    """
    name, _, value = (metadata or "").partition(":")
    filters = JobFilter(
        status=status,
        kind=kind,
        identity_id=identity_id,
        created_from=created_from.timestamp() if created_from else None,
        created_before=created_before.timestamp() if created_before else None,
        metadata=(name, value) if name else None,
    )
    page = await to_thread.run_sync(state.jobs.page, caller.tenant, filters, limit, cursor)
    response.headers.update(next_link(request, page.next_cursor))
    data = tuple(state.views.of(job) for job in page.jobs)

    return schemas.JobList(data=data, next_cursor=page.next_cursor)


@router.get(
    "/{job_id}",
    response_model=schemas.Job,
    responses={
        200: success(
            "The job; with `Prefer: wait`, once it has ended or the time is up.",
            "ETag",
            "Retry-After",
        ),
        304: success("The job is as `If-None-Match` says.", "ETag"),
        **problems("not_found", "too_many_waiters"),
    },
    openapi_extra={
        "parameters": [PREFER, header("If-None-Match", "An ETag seen before.", {"type": "string"})]
    },
)
async def get_job(job_id: str, request: Request, caller: Reader, state: State) -> Response:
    """Return a job.

    `Prefer: wait` waits for its end, or with a matching If-None-Match for any change.
    """
    # Looked up first: a requeue must not reveal whether another tenant's job exists.
    job = await _find(state, job_id, caller)
    return await state.answers.current(request, caller, job)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: success(
            "Server-sent events `status`, `progress` and `completed`; comments keep the connection"
            " alive.",
            content={"text/event-stream": {"schema": _EVENT}},
        ),
        204: {
            "description": (
                "The job has ended and `Last-Event-ID` was its last event: do not reconnect."
            )
        },
        **problems("not_found", "too_many_waiters"),
    },
    openapi_extra={
        "parameters": [
            header(
                "Last-Event-ID",
                "Go on after this event.",
                {"type": "string", "pattern": "^([0-9]+-[0-9]+)?$"},
            )
        ]
    },
)
async def job_events(job_id: str, request: Request, caller: Reader, state: State) -> Response:
    """Follow a job's events until it ends."""
    job = await _find(state, job_id, caller)
    # Checked here: once a stream has begun, an error can no longer become a status.
    after = checked_event_id(request.headers.get("last-event-id") or BEGINNING)

    newest = await state.events.last_id(job.id) if job.final else BEGINNING
    if job.final and after != BEGINNING and place_of(after) >= place_of(newest):
        # A browser's EventSource reconnects after every end unless it gets 204.
        return Response(status_code=204)
    with state.events.waiter(job.tenant):
        pass  # refuses before the stream begins; the stream takes its place itself

    return StreamingResponse(
        server_sent_events(job, caller, after, state.events, state.answers),
        media_type="text/event-stream",
        # nginx would hold events back until its buffer is full.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post(
    "/{job_id}/cancel",
    response_model=schemas.Job,
    responses={
        200: success("The job had already ended.", "ETag"),
        202: success("The job is being canceled.", "ETag", "Retry-After", model=schemas.Job),
        **problems("not_found"),
    },
)
async def cancel_job(job_id: str, caller: Writer, state: State) -> Response:
    """Ask a job to end."""
    job = await _find(state, job_id, caller)
    # Cancelling twice is no mistake: the client sees how the job ended.
    if job.final:
        return await state.answers.now(job, 200)

    job = await to_thread.run_sync(state.jobs.request_cancel, job.id)
    return await state.answers.now(job, 202)


@router.post(
    "/{job_id}/requeue",
    status_code=202,
    response_model=schemas.Job,
    responses={
        202: success("The new job.", "Location", "Retry-After", "ETag"),
        **problems(*_REQUEUE_FAILURES),
    },
)
async def requeue_job(job_id: str, caller: Admin, state: State) -> Response:
    """Run a dead letter again, as a new job: one that failed as `attempts_exhausted`."""
    await _find(state, job_id, caller)
    job = await to_thread.run_sync(state.jobs.requeue, job_id)
    # At once, not with the reconciler's next round a second later.
    await to_thread.run_sync(state.queue.deliver, QUEUE_OF[job.kind])
    return await state.answers.now(job, 202, Location=f"/v1/jobs/{job.id}")


@router.delete(
    "/{job_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "Input, result and record are deleted."},
        **problems("not_found", "job_not_final"),
    },
)
async def delete_job(job_id: str, caller: Writer, state: State) -> Response:
    """Delete a job that has ended, with its result, and its input unless other jobs use it."""
    job = await _find(state, job_id, caller)
    # Refuses a running job: it must be cancelled first, and its end seen.
    await to_thread.run_sync(state.job_remover.remove, job)
    return Response(status_code=204)


async def _find(state: AppState, job_id: str, caller: Caller) -> JobRecord:
    """Return the caller's job; another tenant's answers as an unknown one."""
    return await to_thread.run_sync(state.jobs.get, job_id, caller.tenant)
