"""Has a confined child perform an attempt, and answers what it asks meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from worker.errors import AttemptTimedOut, DiskFull, JobFailure, WorkerError
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome, Performed, Spent
from worker.process import requests
from worker.process.child_context import JOB_ORDER, JobOrder
from worker.process.requests import REQUEST
from worker.sandbox.messages import Channel, Message

log = logging.getLogger(__name__)


class ServedAttempt(JobContext, Protocol):
    """What a child can be served: a `JobContext`, and what the engine has done for it so far."""

    spent: Callable[[], Spent]


class ChildLost(WorkerError):
    """The child died over the attempt, or said what only a compromised child would say."""

    code = "child_lost"
    message = "The worker's child was lost."


class UseCaseFailed(WorkerError):
    """The use case raised what it should not have; the child's log has the trace."""

    code = "use_case_failed"
    message = "The use case failed."


class BuildFailed(WorkerError):
    """The child could not build weights from a code; it knows why."""


class AttemptServer:
    """Serves one attempt. `pack` is the one that the child loaded before it saw untrusted bytes."""

    def __init__(
        self, attempt: ServedAttempt, channel: Channel, pack: str, timeout_s: float
    ) -> None:
        self._attempt = attempt
        self._channel = channel
        self._pack = pack
        # One deadline for the whole attempt, however often the child reports.
        self._ends = time.monotonic() + timeout_s
        self._answered: WorkerError | None = None  # the last error that the child was answered with

    def run(self) -> Performed:
        """Hand the job over and serve the child until it is done.

        Raises:
            JobFailure: as the use case raised it.
            WorkerError: what the child was answered and passed on, as Canceled or StoreUnavailable.
            DiskFull, UseCaseFailed: as the use case raised them.
            AttemptTimedOut, ChildLost: the child is of no further use.
        """
        self._hand_over()
        while True:
            request, blobs = self._receive()
            match request:
                case requests.Ended():
                    return self._performed(request)
                case requests.Raised():
                    raise self._error_of(request)

            try:
                self._answer(request, blobs)
            # The child is beyond an answer.
            except (AttemptTimedOut, ChildLost):
                raise
            except WorkerError as error:
                # Kept whole: the child passes on only its name, which is not evidence enough to end
                # a job by.
                self._answered = error
                # The name alone: messages may hold what a child should not know.
                self._send({"error": type(error).__name__})

    def _hand_over(self) -> None:
        attempt = self._attempt
        has_input = attempt.job.payload.input_id is not None
        order = JobOrder(
            job=replace(attempt.job, webhook=None),  # its business is the API's
            task=attempt.task,
            input=attempt.input.name if has_input else None,
            provenance=attempt.provenance,
            is_screened=attempt.is_screened,
        )
        self._send({"job": JOB_ORDER.dump_python(order, mode="json")})

    def _answer(self, request: requests.Request, blobs: list[bytes]) -> None:
        attempt = self._attempt
        match request:
            case requests.Progress():
                attempt.progress(request.done, request.total, request.unit)
                self._send({})
            case requests.FanOut():
                # What the engine has done is known to the child alone; it is shown, and nothing
                # depends on it.
                attempt.spent = lambda: request.spent
                attempt.fan_out(
                    request.steps,
                    request.plan,
                    request.total,
                    request.unit,
                    request.in_flight,
                    request.following,
                )
                self._send({})
            case requests.FinishPart():
                attempt.spent = lambda: request.spent
                attempt.finish_part(request.outcome)
                self._send({})
            case requests.ReadPlan():
                plan, parts = attempt.plan()
                self._send({"plan": plan, "parts": dict(parts)})
            case requests.PublishPart():
                self._send({"sha256": attempt.publish_part(Path(request.file), request.suffix)})
            case requests.FetchPart():
                self._send({"file": attempt.part(request.sha256, request.suffix).name})
            # Any other number of blobs is not the protocol, and falls through to the end.
            case requests.SignClaim() if len(blobs) == 1:
                self._send({}, attempt.sign(blobs[0]))
            case requests.TimeStamp() if len(blobs) == 1:
                token = attempt.time_stamp(blobs[0])
                self._send({}, *([token] if token else []))
            case requests.Screen() if _are_whole(blobs, request.width):
                verdict, review = attempt.screen(blobs[0], blobs[1], request.width)
                self._send({"verdict": verdict, "review": review})
            case _:
                self._answer_about_identities(request, blobs)

    def _answer_about_identities(self, request: requests.Request, blobs: list[bytes]) -> None:
        identities = self._attempt.identities
        match request:
            case requests.ReadQuality():
                self._send({"quality": identities.quality(request.identity)})
            case requests.ReadCode():
                self._send({}, identities.code(request.identity))
            case requests.ReadWeights():
                self._send_weights(request.identity)
            case requests.PutRefined() if len(blobs) == 1:
                # The pack that this parent saw loaded, not one that the child names.
                identities.put_refined(request.identity, self._pack, blobs[0], request.refinement)
                self._send({})
            case _:
                raise ChildLost

    def _send_weights(self, identity_id: str) -> None:
        try:
            weights = self._attempt.identities.weights_or_build(
                identity_id, self._pack, self._have_built
            )
        except BuildFailed:
            self._send({})
        else:
            self._send({}, weights)

    def _have_built(self, code: bytes) -> bytes:
        """Have the child build weights, while the store's lock on them is held."""
        self._send({"build": True}, code)
        request, blobs = self._receive()

        if not isinstance(request, requests.Built):
            raise ChildLost
        if not blobs:
            raise BuildFailed

        return blobs[0]

    def _performed(self, ended: requests.Ended) -> Performed:
        made = ended.outcome
        if made is None:
            return Performed(None, self._pack, ended.spent)

        # Names become paths of ours; all else passed the model's checks.
        fields = made.model_dump(exclude={"file", "manifest"})
        work = self._attempt.work
        file = work / made.file if made.file else None
        manifest = work / made.manifest if made.manifest else None
        outcome = Outcome(file=file, manifest=manifest, **fields)

        return Performed(outcome, self._pack, ended.spent)

    def _error_of(self, raised: requests.Raised) -> WorkerError:
        """Return the error to raise here; a child can invent failures of its job, nothing else."""
        if raised.final:
            # A final failure ends this one job; a child can do its own job no more harm than that.
            return JobFailure(FailureCode(raised.code), raised.message, raised.report)
        if self._answered is not None and raised.code == type(self._answered).__name__:
            return self._answered

        return DiskFull() if raised.code == DiskFull.__name__ else UseCaseFailed()

    def _send(self, header: dict[str, Any], *blobs: bytes) -> None:
        try:
            self._channel.send(Message({"answer": True, **header}, blobs))
        except OSError as error:
            raise ChildLost from error

    def _receive(self) -> tuple[requests.Request, list[bytes]]:
        left_s = self._ends - time.monotonic()
        try:
            # Never zero or less, which a socket would take for "do not wait" or refuse.
            message = self._channel.receive(max(left_s, 0.01))
            if message is None:
                raise ChildLost

            return REQUEST.validate_python(dict(message.header)), list(message.blobs)
        except TimeoutError as error:
            raise AttemptTimedOut from error
        except (OSError, ValueError) as error:  # also pydantic's ValidationError
            log.warning("child said what is not in the protocol", extra={"error": str(error)[:500]})
            raise ChildLost from error


def _are_whole(blobs: list[bytes], width: int) -> bool:
    """Whether these are two blobs of whole embeddings."""
    return len(blobs) == 2 and not any(len(blob) % width for blob in blobs)
