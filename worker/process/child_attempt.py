"""One attempt in the child: the use case runs, and the parent hears how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable

from worker.errors import JobFailure, WorkerError
from worker.job_context import Outcome, Spent, UseCases
from worker.process import requests
from worker.process.child_context import JobOrder, RemoteContext
from worker.process.parent import Parent

log = logging.getLogger(__name__)


def since_now(use_cases: UseCases) -> Callable[[], Spent]:
    """Return a meter of what the engine does from now on."""
    # The engine counts from its start; an attempt is the difference.
    began = dict(use_cases.counters())
    return lambda: {
        name: count - began.get(name, 0) for name, count in use_cases.counters().items()
    }


def perform(
    order: JobOrder, directories: requests.ChildOrder, parent: Parent, use_cases: UseCases
) -> None:
    """Carry out one attempt and tell the parent how it ended."""
    spent = since_now(use_cases)
    try:
        context = RemoteContext(order, directories, parent, spent)
        outcome = use_cases.find(order.job.kind)(context)
    except JobFailure as failure:
        parent.say(
            requests.Raised(
                final=True,
                code=failure.code,
                # The protocol's bound; a message may quote a file's own text.
                message=failure.message[:2000],
                report=dict(failure.report),
            )
        )
    # Its own limit, not the machine's: the same job would meet it again.
    except MemoryError:
        message = "The job needs more memory than it may have."
        parent.say(requests.Raised(final=True, code="out_of_memory", message=message))
    # Passed on by name: what the parent answered with, or a full disk.
    except WorkerError as error:
        parent.say(requests.Raised(final=False, code=type(error).__name__, message=error.message))
    except Exception:
        log.exception("use case failed", extra={"task": order.task.id})
        # Without the trace, which may quote the input; it is in this process's log.
        parent.say(requests.Raised(final=False, code="Exception", message="a bug"))
    else:
        parent.say(requests.Ended(outcome=_as_message(outcome), spent=dict(spent())))


def _as_message(outcome: Outcome | None) -> requests.OutcomeMade | None:
    if outcome is None:
        return None
    return requests.OutcomeMade(
        file=outcome.file.name if outcome.file else None,
        media_type=outcome.media_type,
        suffix=outcome.suffix,
        width=outcome.width,
        height=outcome.height,
        frames=outcome.frames,
        manifest=outcome.manifest.name if outcome.manifest else None,
        hashes=tuple(outcome.hashes),
        report=dict(outcome.report),
        timings=dict(outcome.timings),
    )
