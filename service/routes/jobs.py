"""Jobs: look, wait, follow, cancel, fetch, forget."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from service import schemas
from service.caller import Caller
from service.identities.erasing import forget_job
from service.jobs.job_events import BEGINNING, JobEvent, checked_event_id, place_of
from service.jobs.job_views import job_etag, job_response, job_view, wait_asked_s
from service.jobs.submission import view_of
from service.protocol.delivery import Content, deliver
from service.protocol.openapi import PREFER, header, problems, success
from service.protocol.paging import next_link
from service.protocol.problems import ServiceError
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of
from worker.contract import QUEUE_OF, JobKind, JobRecord, Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]
Admin = Annotated[Caller, Depends(caller_with("admin"))]
InParts = Annotated[Parts, Depends(parts_of)]

_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["status", "progress", "completed"]},
        "data": {
            "type": "string",
            "description": "JSON: the status, the progress, or at the end the whole job.",
        },
    },
}
_REQUEUE_FAILURES = ("not_found", "identity_erased", "quota_exceeded", "queue_full")

KEEP_ALIVE_S = 15.0
LONGEST_STREAM_S = 6 * 3600.0


@router.get(
    "",
    response_model=schemas.JobList,
    responses={200: success("A page of jobs, newest first.", "Link"), **problems("invalid_cursor")},
)
async def list_jobs(
    request: Request,
    caller: Reader,
    parts: InParts,
    status: Status | None = None,
    kind: JobKind | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern="^job_[0-9a-z]{26}$")] = None,
) -> JSONResponse:
    """List the tenant's jobs."""
    page = await to_thread.run_sync(parts.jobs.list, caller.tenant, status, kind, limit, cursor)
    data = tuple(job_view(job, parts.settings.public_url) for job in page.jobs)
    body = schemas.JobList(data=data, next_cursor=page.next_cursor)
    return JSONResponse(body.model_dump(mode="json"), headers=next_link(request, page.next_cursor))


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
async def get_job(job_id: str, request: Request, caller: Reader, parts: InParts) -> Response:
    """Return a job; waits for its end, or with a matching If-None-Match for any change."""
    job = await find_job(parts, job_id, caller)
    wait_s, known = wait_asked_s(request), request.headers.get("if-none-match", "")
    if wait_s and not job.final:
        job = await _wait(parts, job, known == job_etag(job), wait_s)
    if known == job_etag(job):
        return Response(status_code=304, headers={"ETag": known})
    applied = {"Preference-Applied": f"wait={wait_s}"} if wait_s is not None else {}
    return job_response(await view_of(parts, job), job, 200, **applied)


async def _wait(parts: Parts, job: JobRecord, for_any_change: bool, wait_s: int) -> JobRecord:
    with parts.events.waiter(job.tenant):
        after = BEGINNING
        if for_any_change:
            after = await parts.events.last_id(job.id)
            now = await to_thread.run_sync(parts.jobs.get, job.id)
            if now.version != job.version:
                return now  # it changed before there was anything to wait for
        async for event in parts.events.follow(job.id, after, wait_s):
            if for_any_change or event.type == "completed":
                break
    return await to_thread.run_sync(parts.jobs.get, job.id)


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
async def job_events(job_id: str, request: Request, caller: Reader, parts: InParts) -> Response:
    """Follow a job's events until it ends."""
    job = await find_job(parts, job_id, caller)
    after = checked_event_id(request.headers.get("last-event-id") or BEGINNING)
    if job.final and place_of(after) >= place_of(await parts.events.last_id(job.id)):
        return Response(status_code=204)
    with parts.events.waiter(job.tenant):
        pass  # refuses before the stream begins; the stream takes its place itself
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _sse(parts, job, after), media_type="text/event-stream", headers=headers
    )


async def _sse(parts: Parts, job: JobRecord, after: str) -> AsyncIterator[str]:
    yield ": following\n\n"
    left_s = LONGEST_STREAM_S
    with parts.events.waiter(job.tenant):
        while left_s > 0 and not parts.events.draining:
            async for event in parts.events.follow(job.id, after, KEEP_ALIVE_S):
                yield await _sse_event(parts, job.id, event)
                if event.type == "completed":
                    return
                after = event.id
            left_s -= KEEP_ALIVE_S
            yield ": keep-alive\n\n"


async def _sse_event(parts: Parts, job_id: str, event: JobEvent) -> str:
    data = event.data
    if event.type == "completed":
        job = await to_thread.run_sync(parts.jobs.get, job_id)
        data = json.dumps((await view_of(parts, job)).model_dump(mode="json"))
    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n"


@router.post(
    "/{job_id}/cancel",
    response_model=schemas.Job,
    responses={
        200: success("The job had already ended.", "ETag"),
        202: success("The job is being canceled.", "ETag", "Retry-After", model=schemas.Job),
        **problems("not_found"),
    },
)
async def cancel_job(job_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Ask a job to end."""
    job = await find_job(parts, job_id, caller)
    was_final = job.final
    if not was_final:
        job = await to_thread.run_sync(parts.jobs.request_cancel, job.id)
    return job_response(await view_of(parts, job), job, 200 if was_final else 202)


@router.post(
    "/{job_id}/requeue",
    status_code=202,
    response_model=schemas.Job,
    responses={
        202: success("The new job.", "Location", "Retry-After", "ETag"),
        **problems(*_REQUEUE_FAILURES),
    },
)
async def requeue_job(job_id: str, caller: Admin, parts: InParts) -> JSONResponse:
    """Do a dead letter again, as a new job: one that ended as `attempts_exhausted` or was given
    up.
    """
    await find_job(parts, job_id, caller)
    job = await to_thread.run_sync(parts.jobs.requeue, job_id)
    await to_thread.run_sync(parts.queue.deliver, QUEUE_OF[job.kind])
    return job_response(await view_of(parts, job), job, 202, Location=f"/v1/jobs/{job.id}")


_RESULT_EXTRA = {
    "parameters": [
        header(
            "Range", "One range of bytes; several are answered with the whole.", {"type": "string"}
        ),
        header("If-Range", "The ETag for which the range is meant.", {"type": "string"}),
        header("If-None-Match", "An ETag seen before.", {"type": "string"}),
    ]
}
_RESULT_RESPONSES = {
    200: success(
        "The result's bytes; the ETag is their SHA-256.",
        "ETag",
        "Accept-Ranges",
        content={key: {"schema": {}} for key in ("image/*", "video/*", "application/json")},
    ),
    206: success("The part that `Range` names.", "ETag", "Content-Range"),
    304: success("The bytes are those of `If-None-Match`.", "ETag"),
    **problems(
        "not_found", "job_not_final", "no_result", "result_expired", "range_not_satisfiable"
    ),
}


@router.head(
    "/{job_id}/result",
    response_class=Response,
    responses=_RESULT_RESPONSES,
    openapi_extra=_RESULT_EXTRA,
)
@router.get(
    "/{job_id}/result",
    response_class=Response,
    responses=_RESULT_RESPONSES,
    openapi_extra=_RESULT_EXTRA,
)
async def job_result(job_id: str, request: Request, caller: Reader, parts: InParts) -> Response:
    """Return the file that a job made, or the part of it that Range names."""
    job = await find_job(parts, job_id, caller)
    if not job.final:
        raise ServiceError("job_not_final", headers={"Retry-After": "1"})
    if job.result is None:
        raise ServiceError("no_result", f"The job ended as {job.status}")
    path = await to_thread.run_sync(parts.media.result_path, job)
    file, made = await to_thread.run_sync(path.open, "rb"), job.result
    filename = f"{job.id}{made.suffix}"
    return deliver(request, Content(file, made.bytes, made.media_type, made.sha256, filename))


@router.delete(
    "/{job_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "Inputs, outputs and record are gone."},
        **problems("not_found", "job_not_final"),
    },
)
async def delete_job(job_id: str, caller: Writer, parts: InParts) -> Response:
    """Remove a job that has ended, with its input and its result."""
    job = await find_job(parts, job_id, caller)
    await to_thread.run_sync(forget_job, parts, job)
    return Response(status_code=204)


async def find_job(parts: Parts, job_id: str, caller: Caller) -> JobRecord:
    """Return the caller's job; another tenant's answers as an unknown one."""
    return await to_thread.run_sync(parts.jobs.get, job_id, caller.tenant)
