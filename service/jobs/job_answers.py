"""The answers about jobs: a job's body with its headers, after the wait that was asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.jobs.job_events import BEGINNING, JobEvents
from service.jobs.job_views import JobViews, job_etag
from service.jobs.results import Results
from service.protocol.problems import MEDIA_TYPE as PROBLEM_TYPE
from service.protocol.problems import ServiceError
from worker.contract.jobs import JobRecord
from worker.errors import StoreError
from worker.stores.jobs.job_reader import answered_job
from worker.stores.jobs.job_store import Admission, JobStore

log = logging.getLogger(__name__)

MAX_WAIT_S = 60  # common proxies give up after a minute
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])")


class JobAnswers:
    """Waits for jobs and answers with them."""

    def __init__(
        self, jobs: JobStore, events: JobEvents, views: JobViews, results: Results
    ) -> None:
        self._jobs = jobs
        self._events = events
        self._views = views
        self._results = results

    async def accepted(self, request: Request, caller: Caller, admission: Admission) -> Response:
        """Return the 202 of an accepted job, or the 200 if it ends within the wait asked for.

        With `Accept: image/*` or `video/*` the answer is the result itself, or why there is none,
        if the job ends within the wait, which then is a minute where none is asked for.
        """
        job = admission.job
        headers = {"Location": f"/v1/jobs/{job.id}"} | await self._quota(caller)
        is_for_bytes = _wants_bytes(request)
        wait_s = _wait_asked_s(request) or (MAX_WAIT_S if is_for_bytes else None)

        if admission.replayed:
            headers["Idempotency-Replayed"] = "true"

        try:
            # `wait=0` asks for no wait, and yet for the header that says so.
            if wait_s is not None:
                job = await self._wait(job, caller, wait_s)
                headers["Preference-Applied"] = f"wait={wait_s}"
            view = await self.view(job)
        except (ServiceError, StoreError) as error:  # it is accepted, so this is no refusal
            log.warning("accepted without the wait", extra={"job": job.id, "code": error.code})
            view = self._views.of(job)

        if is_for_bytes and job.final:
            return await self._bytes(request, caller, job, view, headers)
        return answer(view, job, 200 if job.final and wait_s is not None else 202, **headers)

    async def _bytes(
        self,
        request: Request,
        caller: Caller,
        job: JobRecord,
        view: schemas.Job,
        headers: Mapping[str, str],
    ) -> Response:
        if view.error is not None:
            members = view.error.model_dump(mode="json", exclude_none=True)
            response: Response = JSONResponse(members, view.error.status, media_type=PROBLEM_TYPE)
        else:
            response = await self._results.response(request, job, caller.key_id)

        response.headers.update({**headers, "X-Job-Id": job.id})
        return response

    async def _quota(self, caller: Caller) -> dict[str, str]:
        """Return the IETF draft's headers for jobs in flight; none while the store is away."""
        try:
            quota = await to_thread.run_sync(self._jobs.quota, caller.tenant)
        except StoreError:
            return {}

        left = max(0, quota.max_jobs - quota.jobs)
        return {"RateLimit-Policy": f'"jobs";q={quota.max_jobs}', "RateLimit": f'"jobs";r={left}'}

    async def current(self, request: Request, caller: Caller, job: JobRecord) -> Response:
        """Return a job: at its end if a wait was asked for, or at the next change if the client
        knows its present state; 304 if the client still does.
        """
        wait_s = _wait_asked_s(request)
        known = request.headers.get("if-none-match", "")

        if wait_s and not job.final:
            # A client that knows this state wants the next change; one that does not wants the end.
            is_known = known == job_etag(job)
            job = await self._wait(job, caller, wait_s, for_any_change=is_known)

        if known == job_etag(job):
            return Response(status_code=304, headers={"ETag": known})

        applied = {"Preference-Applied": f"wait={wait_s}"} if wait_s is not None else {}
        return answer(await self.view(job), job, 200, **applied)

    async def now(self, job: JobRecord, status: int = 200, **headers: str) -> Response:
        """Return a job as it is."""
        return answer(await self.view(job), job, status, **headers)

    async def latest(self, job_id: str) -> schemas.Job:
        """Return the body of a job as the store has it now; raises UnknownJob."""
        return await self.view(await to_thread.run_sync(self._jobs.get, job_id))

    async def view(self, job: JobRecord) -> schemas.Job:
        """Return a job's body, with its place in the queue while it waits there."""
        position = None
        # The position costs two look-ups, and has no meaning once the job runs.
        if job.status == "queued":
            position = await to_thread.run_sync(self._jobs.queue_position, job)
        return self._views.of(job, position)

    async def _wait(
        self, job: JobRecord, caller: Caller, wait_s: int, for_any_change: bool = False
    ) -> JobRecord:
        if job.final:
            return job

        with self._events.waiter(job.tenant):
            after = BEGINNING
            if for_any_change:
                # First the place in the stream, then the state: a change between the two is seen in
                # the one or the other.
                after = await self._events.last_id(job.id)
                now = await to_thread.run_sync(self._jobs.get, job.id)

                if now.version != job.version:
                    return now  # it changed before there was anything to wait for

            events = self._events.follow(job.id, after, wait_s, caller.key_id, with_record=True)
            async for event in events:
                if for_any_change or event.type == "completed":
                    return answered_job(event.record)

        return await to_thread.run_sync(self._jobs.get, job.id)


def answer(view: schemas.Job, job: JobRecord, status: int, **headers: str) -> JSONResponse:
    """Return `view` with its ETag, and with Retry-After while the job is not final."""
    sent = {"ETag": job_etag(job), **headers}
    if not job.final:
        # For clients that poll: often enough for images, and a video does not mind.
        sent["Retry-After"] = "1"
    return JSONResponse(view.model_dump(mode="json"), status, headers=sent)


def _wants_bytes(request: Request) -> bool:
    """Return whether the client names images or videos in Accept; `*/*` alone means JSON."""
    ranges = request.headers.get("accept", "").lower().split(",")
    return any(one.strip().startswith(("image/", "video/")) for one in ranges)


def _wait_asked_s(request: Request) -> int | None:
    """Return the seconds of `Prefer: wait=n`, at most 60; None when the client did not ask."""
    match = _WAIT.search(request.headers.get("prefer", "").lower())
    return min(int(match[1]), MAX_WAIT_S) if match else None
