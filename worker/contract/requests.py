"""A job that somebody wants done: its kind, and what a worker reads to do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from worker.contract.options import (
    Assignment,
    ExportOptions,
    ReferenceSelector,
    Strict,
    SwapOptions,
    UploadId,
)

JobKind = Literal["swap_image", "swap_video", "analysis", "preview", "estimate", "refine", "export"]
QueueName = Literal["image", "video", "refine"]
Priority = Literal["high", "normal", "low"]

QUEUE_OF: Mapping[JobKind, QueueName] = {
    "swap_image": "image",
    "swap_video": "video",
    "analysis": "video",
    "preview": "image",  # a person waits for it, also while a long video is being swapped
    "estimate": "image",
    "refine": "refine",
    "export": "image",  # it takes milliseconds, and needs what that queue's children have loaded
}


class JobPayload(Strict):
    """What a worker reads to do a job: ids and options, never bytes or paths."""

    version: Literal[1] = 1
    kind: JobKind
    # As `worker.stores.tenants.TENANT_NAME`: it becomes part of keys in the store.
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    input_id: UploadId | None = None
    # As in the API's body, checked again: the store is not trusted to hold what was sent.
    assignments: tuple[Assignment, ...] = Field(default=(), max_length=16)
    options: SwapOptions = SwapOptions()
    export: ExportOptions | None = None
    mark_id: Annotated[
        int | None,
        Field(ge=0, lt=1 << 32, description="The invisible mark of the result; None: not marked."),
    ] = None
    trace: dict[str, str] = Field(
        default_factory=dict, description="W3C trace context, carried through the queue."
    )

    def identities(self) -> frozenset[str]:
        """Every identity this job touches, also those that only select a face."""
        assigned = {assignment.identity_id for assignment in self.assignments}
        return frozenset(
            assigned
            | {a.face.reference for a in self.assignments if isinstance(a.face, ReferenceSelector)}
        )


@dataclass(frozen=True)
class JobRequest:
    """A job somebody wants done.

    `deadline_s` counts from admission, `input_bytes` is held against the quota. A
    `temporary_identity` is erased when the job has ended, however it ends. The `actor`, a key's id,
    stands in the audit entries about the use of the job's identities; without one there are none.
    """

    payload: JobPayload
    priority: Priority = "normal"
    deadline_s: float | None = None
    input_bytes: int = 0
    temporary_identity: str | None = None
    webhook: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    requeued_from: str | None = None
    actor: str | None = None
    batch: str | None = None


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's Idempotency-Key and the SHA-256 of the body that came with it."""

    key: str
    fingerprint: str
