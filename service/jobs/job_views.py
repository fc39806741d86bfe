"""A job's record as its owner sees it, and the headers that tell a client when to look again."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import JSONResponse

from service import schemas
from service.protocol.problems import problem
from service.schemas.fields import at
from service.schemas.problem import Problem
from worker.contract import JobRecord

MAX_WAIT_S = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])")
_FAILURES_AS_PROBLEMS = "The job failed"


def wait_asked_s(request: Request) -> int | None:
    """Return the seconds of `Prefer: wait=n`, at most 60; None when the client did not ask."""
    found = _WAIT.search(request.headers.get("prefer", "").lower())
    return min(int(found[1]), MAX_WAIT_S) if found else None


def job_view(job: JobRecord, base: str, queue_position: int | None = None) -> schemas.Job:
    """Return the body that describes `job`; `base` is put before the paths of its links."""
    here = f"{base}/v1/jobs/{job.id}"
    return schemas.Job(
        id=job.id,
        kind=job.kind,
        status=job.status,
        progress=schemas.JobProgress(**job.progress.__dict__),
        queue_position=queue_position,
        attempt=job.attempt,
        created_at=at(job.created_at),
        started_at=at(job.started_at) if job.started_at else None,
        finished_at=at(job.finished_at) if job.finished_at else None,
        expires_at=at(job.expires_at) if job.expires_at else None,
        input=schemas.JobInput(upload_id=job.payload.input_id),
        assignments=job.payload.assignments,
        pack=job.report.get("pack"),
        result=_result(job, f"{here}/result"),
        report=dict(job.report),
        error=_error(job),
        timings=dict(job.timings),
        metadata=dict(job.metadata),
        urls=schemas.JobUrls(
            self=here, cancel=f"{here}/cancel", events=f"{here}/events", result=f"{here}/result"
        ),
    )


def job_response(
    view: schemas.Job, job: JobRecord, status: int = 200, **headers: str
) -> JSONResponse:
    """Return `view` with its ETag, and with Retry-After while the job is not final."""
    sent = {"ETag": job_etag(job), **headers}
    if not job.final:
        sent["Retry-After"] = "1"
    return JSONResponse(view.model_dump(mode="json"), status, headers=sent)


def job_etag(job: JobRecord) -> str:
    """Return the job's entity tag; weak, because the queue position may change without it."""
    return f'W/"{job.version}"'


def _result(job: JobRecord, url: str) -> schemas.JobResultLink | None:
    if job.result is None:
        return None
    made = job.result
    return schemas.JobResultLink(
        url=url,
        sha256=made.sha256,
        bytes=made.bytes,
        media_type=made.media_type,
        width=made.width,
        height=made.height,
        frames=made.frames,
    )


def _error(job: JobRecord) -> Problem | None:
    if job.error is None:
        return None
    members = problem("internal", job.error.detail) | {
        "type": f"urn:likeness:problem:{job.error.code}",
        "title": _FAILURES_AS_PROBLEMS,
        "status": 422,
        "code": job.error.code,
        "instance": f"urn:likeness:job:{job.id}",
    }
    return Problem(**members)
