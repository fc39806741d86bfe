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
from service.schemas.problem import JobError
from worker.contract.jobs import JobOutcome, Status
from worker.contract.options import Assignment, Strict
from worker.contract.requests import JobKind


class JobProgress(Strict):
    # In `unit`s; steps of a video's parts add up over all of them.
    done: int = Field(description="Units that are done.")
    total: int = Field(description="Units in all; 0 while that is not known.")
    unit: str = Field(description="What is counted: `image`, `frame` or `step`.")
    # For videos only, and once a frame is done.
    fps: float | None = Field(
        default=None, description="Frames a second at the moment; null while not known."
    )
    eta_s: float | None = Field(
        default=None, description="Seconds until the end; null while not known."
    )


class JobResultLink(Strict):
    url: str = Field(description="Where the file is.")
    sha256: str = Field(description="SHA-256 of the file, in hex; also its ETag.")
    bytes: int = Field(description="Size of the file.")
    media_type: str = Field(description="The file's media type.")
    width: int | None = Field(default=None, description="Pixels; null where it is no image.")
    height: int | None = Field(default=None, description="Pixels; null where it is no image.")
    frames: int | None = Field(
        default=None, description="Frames; 1 for an image, null where it is none."
    )


class JobUrls(Strict):
    self: str = Field(description="The job.")
    cancel: str = Field(description="POST here to cancel it.")
    events: str = Field(description="Its server-sent events.")
    result: str = Field(description="Its result, once it has one.")
    result_signed: str | None = Field(
        default=None,
        description="The result without a key, for ten to fifteen minutes; once there is one.",
    )
    manifest: str = Field(description="Its result's content credentials, once it has one.")


class JobInput(Strict):
    upload_id: str | None = Field(
        default=None, description="The upload it works on; null for a job that has none."
    )


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
            "faces": [
                {
                    "person_id": "p1",
                    "frames_seen": 1,
                    "frames_swapped": 1,
                    "frames_skipped": {},
                    "jitter_px": 0.0,
                }
            ],
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
            "result_signed": f"/v1/jobs/{EXAMPLE_JOB}/result?expires=1767607500&signature=…",
            "manifest": f"/v1/jobs/{EXAMPLE_JOB}/manifest",
        },
    )

    id: str = Field(description="`job_` and 26 characters.")
    kind: JobKind = Field(description="What it does.")
    status: Status = Field(
        description="Where it is; `succeeded`, `failed`, `canceled` and `expired` are final."
    )
    progress: JobProgress = Field(description="How far it is.")
    queue_position: int | None = Field(
        default=None, description="Jobs before it in its queue; null unless it is queued."
    )
    # Grows when a worker is lost: the client sees why a job takes longer.
    attempt: int = Field(description="How often it was begun.")
    created_at: datetime = Field(description="When it was accepted.")
    started_at: datetime | None = Field(
        default=None, description="When its first attempt began; null before."
    )
    finished_at: datetime | None = Field(default=None, description="When it ended; null before.")
    expires_at: datetime | None = Field(
        default=None, description="When its result is deleted; null before its end."
    )
    input: JobInput = Field(description="What it works on.")
    # As sent, so that a job can be read without the request.
    assignments: tuple[Assignment, ...] = Field(description="Which identity goes onto which face.")
    pack: str | None = Field(
        default=None, description="The pack that did the work; null before its end."
    )
    outcome: JobOutcome | None = Field(
        default=None,
        description=(
            "`partial` when the job succeeded and an assignment is not `swapped` in every frame of"
            " its people: see `report.assignments`. `failed` says why in `error`."
        ),
    )
    result: JobResultLink | None = Field(
        default=None, description="The file it made; null where there is none."
    )
    # Free-form: reports gain members, and clients are told to ignore those they do not know.
    report: dict[str, Any] = Field(
        description="What it has to tell; empty before its end.",
        json_schema_extra={"x-model": "JobReport"},
    )
    # The same body as a failed request has, so that clients handle both in one place.
    error: JobError | None = Field(
        default=None,
        description="Why it failed or was ended; null where it succeeded or a client canceled it.",
    )
    # Milliseconds by stage, for finding out where the time goes.
    timings: dict[str, float] = Field(
        description="Milliseconds by stage, such as `swap_ms`; empty before its end."
    )
    metadata: dict[str, Any] = Field(description="What the caller gave it.")
    urls: JobUrls = Field(description="Where to go from here.")


class JobList(Strict):
    data: tuple[Job, ...] = Field(description="The page, newest first.")
    next_cursor: str | None = Field(
        default=None, description="`cursor` of the next page; null at the end."
    )
