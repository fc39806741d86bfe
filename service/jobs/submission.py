"""From a client's request to an accepted job."""

from __future__ import annotations

from anyio import to_thread

from service.caller import Caller
from service.intake.incoming import Incoming
from service.jobs.admission import JobAdmission
from service.jobs.input_receiver import InputReceiver
from service.jobs.job_events import JobEvents
from service.jobs.submission_request import Submission
from service.protocol.problems import ServiceError
from worker.stores.jobs.job_store import Admission


class JobSubmission:
    """Submits jobs: checks the request, receives its input, and has it admitted."""

    def __init__(self, events: JobEvents, inputs: InputReceiver, admission: JobAdmission) -> None:
        self._events = events
        self._inputs = inputs
        self._admission = admission

    async def submit(self, caller: Caller, submission: Submission, incoming: Incoming) -> Admission:
        """Return the accepted job.

        Raises draining, and what checking, receiving and admitting raise.
        """
        if self._events.draining:
            raise ServiceError("draining")
        # Before the input is fetched: a repeated request must not download it again.
        if replayed := await to_thread.run_sync(self._admission.check, caller, submission):
            return replayed
        if submission.source is not None:
            await self._inputs.receive(submission.source, incoming)

        # The rules of the form allow one; a URL or base64 adds the one.
        received = incoming.files[0] if incoming.files else None
        return await to_thread.run_sync(self._admission.admit, caller, submission, received)
