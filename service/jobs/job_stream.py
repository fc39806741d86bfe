"""A job's events as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict

from service.caller import Caller
from service.jobs.job_answers import JobAnswers
from service.jobs.job_events import BEGINNING, JobEvent, JobEvents
from service.protocol.problems import ServiceError
from worker.contract.jobs import JobRecord, Progress
from worker.errors import WorkerError

KEEP_ALIVE_S = 15.0  # proxies close connections that are silent for half a minute
LONGEST_STREAM_S = 6 * 3600.0  # as long as a job may take


async def server_sent_events(
    job: JobRecord, caller: Caller, after: str, events: JobEvents, answers: JobAnswers
) -> AsyncIterator[str]:
    """Yield the job's events after the one with id `after`, the last one with the whole job.

    The stream also ends when the service drains or the caller's key ends; a client that reconnects
    gets the reason as a problem.
    """
    # A comment at once: proxies and browsers take the stream as open only with its first byte.
    yield ": following\n\n"
    if job.final and await events.last_id(job.id) == BEGINNING:
        # It ended a while ago, and its events are gone but for this one.
        last = JobEvent(f"{int((job.finished_at or 0) * 1000)}-0", "completed", "")
        yield await _formatted(job, last, answers)
        return

    clock = asyncio.get_running_loop().time
    ends_at = clock() + LONGEST_STREAM_S

    with events.waiter(job.tenant):
        while clock() < ends_at and not events.draining:
            try:
                async for event in events.follow(job.id, after, KEEP_ALIVE_S, caller.key_id):
                    yield await _formatted(job, event, answers)
                    # The whole job, so that a client needs no further request.
                    if event.type == "completed":
                        return

                    after = event.id
            except (ServiceError, WorkerError):
                return  # the headers are sent: it is too late for a problem

            yield ": keep-alive\n\n"


async def _formatted(job: JobRecord, event: JobEvent, answers: JobAnswers) -> str:
    data = event.data
    if event.type == "completed":
        data = json.dumps((await answers.latest(job.id)).model_dump(mode="json"))
    elif event.type == "progress":
        data = json.dumps(asdict(Progress.reported(**json.loads(event.data))))

    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n"
