"""Asks whether anybody in a job is on the never-swap list."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from models.inference.arrays import Embedding
from models.inference.swapping.selection import Assignment
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext


def require_nobody_blocked(
    context: JobContext, assignments: Sequence[Assignment], targets: Collection[Embedding]
) -> None:
    """Raise JobFailure `identity_blocked` or `identity_review` for people who may not be swapped.

    `targets` are those whose face is replaced. The parent compares: a process that decodes
    untrusted files does not get to see the list.
    """
    # The list may be off, or empty: then no embedding leaves this process.
    if not context.is_screened:
        return

    sources = [assignment.identity.code.embedding for assignment in assignments]
    faces = [*sources, *targets]
    if not faces:
        return

    # The parent cuts the bytes by it, and refuses what does not fit.
    width = faces[0].size * np.dtype(np.float32).itemsize
    verdict, review = context.screen(_as_bytes(sources), _as_bytes(targets), width)

    if verdict == "blocked":
        raise JobFailure(
            FailureCode.IDENTITY_BLOCKED,
            "Somebody in this job must not be swapped here.",
            {"refused": {"band": "blocked"}},
        )
    if verdict == "review":
        raise JobFailure(
            FailureCode.IDENTITY_REVIEW,
            "Somebody in the target resembles a person who must not be swapped here; ask the"
            f" operator to release {review}, then send the job again.",
            {"review": review, "refused": {"band": "review"}},
        )


def _as_bytes(embeddings: Collection[Embedding]) -> bytes:
    return b"".join(embedding.astype("<f4").tobytes() for embedding in embeddings)
