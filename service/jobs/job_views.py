"""A job's record as its owner sees it."""

from __future__ import annotations

from dataclasses import dataclass

from service import schemas
from service.browsers.signed_urls import UrlSigner
from service.protocol.catalogue import type_of
from service.protocol.problems import problem
from service.schemas.fields import at
from service.schemas.problem import JobError
from worker.contract.jobs import JobRecord

_FAILURE_TITLE = "The job failed"


@dataclass(frozen=True)
class JobViews:
    """Makes the bodies that describe jobs; `base` is the origin of their links, or ""."""

    base: str
    signer: UrlSigner

    def of(self, job: JobRecord, queue_position: int | None = None) -> schemas.Job:
        """Return the body that describes `job`."""
        here = f"{self.base}/v1/jobs/{job.id}"
        result = f"{here}/result"

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
            # Cancelled and expired jobs have no outcome: nothing was tried to its end.
            outcome="failed" if job.status == "failed" else job.report.get("outcome"),
            result=_result(job, result),
            report=dict(job.report),
            error=_error(job),
            timings=dict(job.timings),
            metadata=dict(job.metadata),
            urls=schemas.JobUrls(
                self=here,
                cancel=f"{here}/cancel",
                events=f"{here}/events",
                result=result,
                result_signed=f"{result}?{self.signer.query(job.id)}" if job.result else None,
                manifest=f"{here}/manifest",
            ),
        )


def job_etag(job: JobRecord) -> str:
    """Return the job's entity tag; weak, because the queue position may change without it."""
    return f'W/"{job.version}"'


def _result(job: JobRecord, url: str) -> schemas.JobResultLink | None:
    if job.result is None:
        return None
    return schemas.JobResultLink(
        url=url,
        sha256=job.result.sha256,
        bytes=job.result.bytes,
        media_type=job.result.media_type,
        width=job.result.width,
        height=job.result.height,
        frames=job.result.frames,
    )


def _error(job: JobRecord) -> JobError | None:
    if job.error is None:
        return None

    # Codes of jobs are not all codes of requests, so the table of statuses does not know them.
    members = problem("internal", job.error.detail) | {
        "type": type_of(job.error.code),
        "title": _FAILURE_TITLE,
        # Of the job's input, as a rule; the member must be there, and no request had this status.
        "status": 422,
        "code": job.error.code,
        "instance": f"urn:likeness:job:{job.id}",
    }
    return JobError(**members)
