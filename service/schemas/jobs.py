"""A job as its owner sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.schemas.fields import (
    EARLY,
    EXAMPLE_IDENTITY,
    EXAMPLE_JOB,
    EXAMPLE_SHA256,
    EXAMPLE_UPLOAD,
    LATE,
    example,
)
from service.schemas.problem import Problem
from worker.contract import (
    Assignment,
    JobKind,
    JobOutcome,
    Status,
    Strict,
)


class JobProgress(Strict):
    done: int
    total: int
    unit: str
    # For videos only, and once a frame is done.
    fps: float | None = None
    eta_s: float | None = None


class JobResultLink(Strict):
    url: str
    sha256: str
    bytes: int
    media_type: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None


class JobUrls(Strict):
    self: str
    cancel: str
    events: str
    result: str
    manifest: str


class JobInput(Strict):
    upload_id: str | None = None


class Job(Strict):
    """A job as its owner sees it; a final status never changes."""

    model_config = example(
        id=EXAMPLE_JOB,
        kind="swap_image",
        status="succeeded",
        progress={"done": 1, "total": 1, "unit": "image", "fps": None, "eta_s": None},
        queue_position=None,
        attempt=1,
        created_at=EARLY,
        started_at=EARLY,
        finished_at=EARLY,
        expires_at=LATE,
        input={"upload_id": EXAMPLE_UPLOAD},
        assignments=[{"face": "largest", "identity_id": EXAMPLE_IDENTITY}],
        pack="open@3f2a9c81d07b",
        result={
            "url": f"/v1/jobs/{EXAMPLE_JOB}/result",
            "sha256": EXAMPLE_SHA256,
            "bytes": 201_400,
            "media_type": "image/jpeg",
            "width": 1280,
            "height": 720,
            "frames": 1,
        },
        outcome="succeeded",
        report={
            "outcome": "succeeded",
            "assignments": [
                {
                    "index": 0,
                    "face": "largest",
                    "identity_id": EXAMPLE_IDENTITY,
                    "status": "swapped",
                    "reason": None,
                    "person_ids": ["p1"],
                    "frames_swapped": 1,
                    "frames_left_alone": {},
                }
            ],
            "faces": [{"person_id": "p1", "frames_swapped": 1, "frames_skipped": {}}],
            "quality": 0.93,
        },
        error=None,
        timings={"queue_ms": 3.0, "swap_ms": 21.0, "total_ms": 48.0},
        metadata={},
        urls={
            "self": f"/v1/jobs/{EXAMPLE_JOB}",
            "cancel": f"/v1/jobs/{EXAMPLE_JOB}/cancel",
            "events": f"/v1/jobs/{EXAMPLE_JOB}/events",
            "result": f"/v1/jobs/{EXAMPLE_JOB}/result",
            "manifest": f"/v1/jobs/{EXAMPLE_JOB}/manifest",
        },
    )

    id: str
    kind: JobKind
    status: Status
    progress: JobProgress
    queue_position: int | None = None
    attempt: int
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    input: JobInput
    assignments: tuple[Assignment, ...]
    pack: str | None = None
    outcome: JobOutcome | None = Field(
        default=None,
        description=(
            "`partial` when the job succeeded and an assignment is not `swapped` in every frame of"
            " its people: see `report.assignments`. `failed` says why in `error`."
        ),
    )
    result: JobResultLink | None = None
    # Free-form: reports gain members, and clients are told to ignore those they do not know.
    report: dict[str, Any]
    # The same body as a failed request has, so that clients handle both in one place.
    error: Problem | None = None
    timings: dict[str, float]
    metadata: dict[str, Any]
    urls: JobUrls


class JobList(Strict):
    data: tuple[Job, ...]
    next_cursor: str | None = None
