"""Bodies of batches: many swaps by one request."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.schemas.fields import (
    EARLY,
    EXAMPLE_IDENTITY,
    EXAMPLE_JOB,
    EXAMPLE_UPLOAD,
    LATE,
    Metadata,
    Url,
    example,
)
from service.schemas.swaps import RequestedOptions
from worker.contract.jobs import JobOutcome, Status
from worker.contract.options import IdentityId, Strict, UploadId
from worker.contract.requests import Priority

# As many as a tenant may have in flight where the operator has not said otherwise.
MAX_JOBS = 200
EXAMPLE_BATCH = "bat_06avht5b1h7s4d9f2q6tjw3e8r"


class BatchRequest(Strict):
    """Targets and identities: each identity is swapped into each target, a job for each pair."""

    model_config = example(
        upload_ids=[EXAMPLE_UPLOAD], identity_ids=[EXAMPLE_IDENTITY], options={"faces": "largest"}
    )

    # Uploads alone: fetching many addresses would hold the request for minutes.
    upload_ids: Annotated[tuple[UploadId, ...], Field(min_length=1, max_length=MAX_JOBS)] = Field(
        description="Images and videos that were uploaded."
    )
    # Few, because all targets are swapped once more with each of them.
    identity_ids: Annotated[tuple[IdentityId, ...], Field(min_length=1, max_length=16)] = Field(
        description="Whose faces are put on; `options.faces` says for whom."
    )
    options: RequestedOptions = Field(
        default=RequestedOptions(), description="How to swap; the same for all."
    )
    webhook: Url | None = Field(
        default=None, description="Where to tell the batch's end, beside the tenant's endpoints."
    )
    metadata: Metadata = Field(default_factory=dict, description="Kept with each job.")
    priority: Priority = Field(
        default="normal", description="Which of the tenant's own jobs go first."
    )

    @model_validator(mode="after")
    def _has_room(self) -> BatchRequest:
        # The product counts: each list by itself may be within its bound.
        pairs = len(self.upload_ids) * len(self.identity_ids)
        if pairs > MAX_JOBS:
            raise ValueError(f"{pairs} pairs are too many; a batch may have {MAX_JOBS}")
        for name in ("upload_ids", "identity_ids"):
            # Two equal pairs would be two equal jobs, of which one is paid for nothing.
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names one twice")
        return self


class BatchItem(Strict):
    """One pair of a batch, and its job."""

    job_id: str = Field(description="The job; its record has everything else.")
    upload_id: str | None = Field(description="The target.")
    identity_id: str | None = Field(description="Whose face is put on.")
    status: Status = Field(description="Of the job.")
    outcome: JobOutcome | None = Field(description="Of the job, once it has ended by itself.")
    # The code alone: the job has the sentence.
    error: str | None = Field(description="The code of the failure; null where there is none.")


class BatchCounts(Strict):
    """Jobs of a batch by status."""

    queued: int = Field(description="Jobs that wait.")
    running: int = Field(description="Jobs that run, or are being canceled.")
    succeeded: int = Field(description="Jobs with a result.")
    failed: int = Field(description="Jobs that failed.")
    canceled: int = Field(description="Jobs that were canceled.")
    expired: int = Field(description="Jobs that were out of time.")


class Batch(Strict):
    """What became of a batch so far."""

    model_config = example(
        id=EXAMPLE_BATCH,
        status="running",
        total=1,
        counts={
            "queued": 1,
            "running": 0,
            "succeeded": 0,
            "failed": 0,
            "canceled": 0,
            "expired": 0,
        },
        items=[
            {
                "job_id": EXAMPLE_JOB,
                "upload_id": EXAMPLE_UPLOAD,
                "identity_id": EXAMPLE_IDENTITY,
                "status": "queued",
                "outcome": None,
                "error": None,
            }
        ],
        created_at=EARLY,
        finished_at=None,
        expires_at=LATE,
        results=f"/v1/batches/{EXAMPLE_BATCH}/results",
    )

    id: str = Field(description="`bat_` and 26 characters.")
    status: Literal["running", "finished"] = Field(description="Whether all jobs have ended.")
    total: int = Field(description="Jobs of the batch.")
    counts: BatchCounts = Field(description="Jobs by status; deleted ones are in none.")
    # Without pages: there are 200 at most, and each is small.
    items: tuple[BatchItem, ...] = Field(
        description="The jobs that are left, target by target, as the request names them."
    )
    created_at: datetime = Field(description="When it was accepted.")
    finished_at: datetime | None = Field(description="When its last job ended; null before.")
    expires_at: datetime = Field(description="When the record is deleted.")
    results: str = Field(description="All results as one ZIP file, once the batch is finished.")


class BatchList(Strict):
    """A page of batches, newest first."""

    data: tuple[Batch, ...] = Field(description="The batches of this page.")
    next_cursor: str | None = Field(default=None, description="Where the next page begins.")


class BatchEvent(Strict):
    """What a webhook carries when the last job of a batch has ended."""

    type: Literal["batch.finished"] = Field(description="What happened.")
    timestamp: datetime = Field(description="When it happened.")
    data: Batch = Field(description="The batch.")
