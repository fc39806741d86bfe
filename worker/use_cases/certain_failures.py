"""Failures that are certain: the same job would fail in the same way, so it is tried once."""

from __future__ import annotations

import logging
from typing import Final

import av
import cv2

from worker.errors import DiskFull, JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome, UseCase

log = logging.getLogger(__name__)

# By the kind of exception: swapping is deterministic, so what its libraries refuse they refuse
# again. What may pass by itself is not here: the store, the disk, memory, a child that was killed.
_CERTAIN: Final[tuple[tuple[type[Exception], FailureCode, str], ...]] = (
    (av.FFmpegError, FailureCode.UNDECODABLE, "FFmpeg cannot process this file"),
    (cv2.error, FailureCode.INTERNAL_ERROR, "The engine cannot process this input"),
    (UnicodeError, FailureCode.UNDECODABLE, "The file holds text that cannot be read"),
    (ArithmeticError, FailureCode.INTERNAL_ERROR, "The engine cannot process this input"),
    (LookupError, FailureCode.INTERNAL_ERROR, "The engine cannot process this input"),
    (TypeError, FailureCode.INTERNAL_ERROR, "The engine cannot process this input"),
    (ValueError, FailureCode.INTERNAL_ERROR, "The engine cannot process this input"),
)


def failing_once(use_case: UseCase) -> UseCase:
    """Return `use_case` with errors that are certain raised as JobFailure."""

    def perform(context: JobContext) -> Outcome | None:
        try:
            return use_case(context)
        # An OSError of this machine, which another try may not meet.
        except DiskFull:
            raise
        except tuple(kind for kind, _, _ in _CERTAIN) as error:
            # In the table's order: UnicodeError is a ValueError, and says more.
            code, detail = next((c, d) for kind, c, d in _CERTAIN if isinstance(error, kind))
            log.exception("certain failure", extra={"job": context.job.id, "code": code})
            raise JobFailure(code, f"{detail} ({type(error).__name__}).") from error

    return perform
