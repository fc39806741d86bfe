"""A job as the store knows it: its state, its result, and what became of each assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from worker.contract.options import FaceSelector, IdentityId, Strict
from worker.contract.requests import JobKind, JobPayload, Priority
from worker.failures import FailureCode

Status = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled", "expired"]
# No job leaves these: an end is an end, also for a result that comes late.
FINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled", "expired"})

JobOutcome = Literal["succeeded", "partial", "failed"]
AssignmentStatus = Literal["swapped", "partly", "left_alone", "not_found"]


class AssignmentOutcome(Strict):
    """What became of one assignment: `swapped` in every frame its people are in, `partly` in some,
    `left_alone` in none though they were found, `not_found` when nobody matches.

    `reason` says why it is not `swapped`: a reason of `frames_left_alone`, the most frequent one,
    or `nobody_matches`, `already_assigned` (an earlier assignment has the same person),
    `not_a_face` (a drawing or an animal, which only a selector that names it means) or `no_face`.
    """

    index: int = Field(description="Its place in the request, from 0.")
    face: FaceSelector = Field(description="Whom it was to replace.")
    identity_id: IdentityId = Field(description="By whom.")
    status: AssignmentStatus = Field(description="What became of it.")
    reason: str | None = Field(
        default=None, description="Why it is not `swapped`; null where it is."
    )
    person_ids: tuple[str, ...] = Field(default=(), description="The people it chose.")
    frames_swapped: int = Field(default=0, description="Frames in which they were replaced.")
    frames_left_alone: dict[str, int] = Field(
        default_factory=dict, description="Frames in which they were not, by reason."
    )


@dataclass(frozen=True)
class Problem:
    """Why a job failed: a code and a sentence that is safe to show."""

    code: FailureCode
    detail: str


@dataclass(frozen=True)
class JobResult:
    """The file a job made: content-addressed inside the job's own directory."""

    sha256: str
    bytes: int
    media_type: str
    suffix: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Progress:
    done: int = 0
    total: int = 0
    unit: str = "step"
    fps: float | None = None
    eta_s: float | None = None

    @classmethod
    def reported(
        cls,
        *,
        done: int,
        total: int,
        unit: str,
        started_at: float | None = None,
        at: float | None = None,
    ) -> Progress:
        """Return the progress with the rate from the job's start to its last report, not until now:
        a worker that is stuck must not look slower and slower.
        """
        elapsed_s = at - started_at if started_at and at else 0.0
        rate = done / elapsed_s if elapsed_s > 0 and done else None

        return cls(
            done=done,
            total=total,
            unit=unit,
            # Only frames have a rate that means something to a viewer.
            fps=rate if unit == "frame" else None,
            eta_s=(total - done) / rate if rate and total else None,
        )


@dataclass(frozen=True)
class JobRecord:
    """A job as the store knows it; times are seconds since the epoch."""

    id: str
    tenant: str
    kind: JobKind
    status: Status
    priority: Priority
    payload: JobPayload
    attempt: int
    progress: Progress
    created_at: float
    deadline_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float | None
    result: JobResult | None
    report: Mapping[str, Any]
    timings: Mapping[str, float]
    error: Problem | None
    metadata: Mapping[str, Any]
    webhook: str | None
    requeued_from: str | None
    version: int
    batch: str | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True)
class Task:
    """One delivery to a worker: a job has one, a long video several.

    `id` is the job's id, or the job's id and a step (`job_…-s003`, `job_…-mux`); `attempt` fences
    it.
    """

    id: str
    attempt: int

    @property
    def job_id(self) -> str:
        # An id of ours has no hyphen: what follows the first one is the step.
        return self.id.split("-", 1)[0]

    @property
    def step(self) -> str | None:
        return self.id.partition("-")[2] or None
