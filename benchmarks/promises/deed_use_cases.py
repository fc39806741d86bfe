"""A worker's child, taken over: it loads the real engine, and its jobs do deeds."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.promises.deeds import Targets, attempt
from worker.contract.requests import JobKind, QueueName
from worker.job_context import JobContext, Outcome, UseCase, UseCases
from worker.settings import WorkerSettings
from worker.use_cases import load as real


class DeedUseCases:
    """Does the deed that a job's metadata name."""

    # The real use cases are loaded and stand behind, so that the child is the one of production.
    def __init__(self, taken_over: UseCases) -> None:
        self._taken_over = taken_over

    @property
    def pack(self) -> str:
        """The pack that is loaded."""
        return self._taken_over.pack

    def find(self, _kind: JobKind) -> UseCase:
        """Return the deed, whatever the kind."""
        return self._do

    def counters(self) -> Mapping[str, int]:
        """Return what the engine has done."""
        return self._taken_over.counters()

    def forget(self, identity_id: str) -> None:
        """Pass on."""
        self._taken_over.forget(identity_id)

    def _do(self, context: JobContext) -> Outcome:
        # The job's own metadata carry the deed: nothing of the worker is changed for the bar.
        wanted = context.job.metadata
        outcome = attempt(wanted["deed"], Targets(**wanted["targets"]))
        return Outcome(None, report={"outcome": outcome})


def load(queue: QueueName, settings: WorkerSettings) -> DeedUseCases:
    """Load what a worker loads."""
    return DeedUseCases(real.load(queue, settings))
