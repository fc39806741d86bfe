"""From a client's request to an accepted job."""

from __future__ import annotations

import asyncio

from anyio import to_thread

from service.caller import Caller
from service.intake.incoming import Incoming
from service.jobs.admission import Input, JobAdmission
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
        source = submission.source
        if source is None or source.upload_id is not None:
            replayed, given = await self._check_and_keep(caller, submission, incoming)
        else:
            # Before the input is fetched: a repeated request must not download it again.
            if replayed := await to_thread.run_sync(self._admission.check, caller, submission):
                return replayed

            await self._inputs.receive(source, incoming)
            given = await self._keep(caller, submission, incoming)

        if replayed is not None:
            return replayed
        return await to_thread.run_sync(self._admission.admit, caller, submission, given)

    async def _check_and_keep(
        self, caller: Caller, submission: Submission, incoming: Incoming
    ) -> tuple[Admission | None, Input]:
        """Check a request and keep its input at once, for each asks a store that may be far away.

        What the check raises, or finds, comes first; then nothing of the input stays.
        """
        checking = to_thread.run_sync(self._admission.check, caller, submission)
        keeping = self._keep(caller, submission, incoming)
        checked, kept = await asyncio.gather(checking, keeping, return_exceptions=True)

        if checked is not None and isinstance(kept, Input):
            await to_thread.run_sync(self._admission.drop, kept)
        if isinstance(checked, BaseException):
            raise checked
        if checked is not None:
            return checked, Input(None)
        if isinstance(kept, BaseException):
            raise kept

        return None, kept

    async def _keep(self, caller: Caller, submission: Submission, incoming: Incoming) -> Input:
        # The rules of the form allow one; a URL or base64 adds the one.
        received = incoming.files[0] if incoming.files else None
        return await to_thread.run_sync(self._admission.keep, caller, submission, received)
