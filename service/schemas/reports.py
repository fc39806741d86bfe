"""What jobs tell: reports, errors, the result of an analysis, and the event of their end.

The report's and the analysis's makers are the use cases in `worker.use_cases`; the models here say
what they hold, for clients. A record of an earlier version may hold less.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.jobs import Job
from worker.contract.jobs import AssignmentOutcome, JobOutcome
from worker.contract.options import Strict
from worker.failures import FailureCode


class Reported(BaseModel):
    """What an engine tells of a job; members may be added to it."""

    # Engines learn to say more; a client that was written before must go on reading.
    model_config = ConfigDict(extra="allow", frozen=True)


class PersonReport(Reported):
    """One person of the target, and what became of them."""

    person_id: str = Field(description="Stable name of the person in this target, such as `p1`.")
    identity_id: str | None = Field(
        default=None, description="The identity that was to replace the person; null for none."
    )
    assignment: int | None = Field(
        default=None, description="Index of the assignment that chose the person; null for none."
    )
    frames_seen: int = Field(description="Frames in which the person was seen.")
    frames_swapped: int = Field(description="Frames in which the person was replaced.")
    frames_skipped: dict[str, int] = Field(
        description="Frames in which the person was left alone, by reason."
    )
    identity_similarity: float | None = Field(
        default=None,
        description="Mean cosine between the swapped faces and the identity, -1 to 1; null where"
        " nothing was swapped.",
    )
    jitter_px: float = Field(
        description="Mean movement of landmarks against the target's own, in pixels; 0 in images."
    )
    box: list[float] | None = Field(
        default=None,
        description="x, y, width, height of the face, in pixels of the upright image; images only.",
    )
    yaw_deg: float | None = Field(
        default=None, description="How far the face is turned, in degrees; images only."
    )
    eye_px: float | None = Field(
        default=None, description="Distance between the eyes, in pixels; images only."
    )
    yaw_range_deg: list[float] | None = Field(
        default=None, description="Least and largest turn, in degrees; videos only."
    )
    first_seen_s: float | None = Field(
        default=None, description="When the person is first seen, in seconds; videos only."
    )
    last_seen_s: float | None = Field(
        default=None, description="When the person is last seen, in seconds; videos only."
    )


class ProvenanceReport(Reported):
    """How the result is marked and signed."""

    c2pa: Literal["embedded", "detached", "off"] = Field(
        description="Where the content credentials are; `detached`: at the job's `urls.manifest`."
    )
    mark: Literal["lk1", "too_small", "off"] = Field(
        description="The invisible mark: `lk1` is there, `too_small` has no room for one."
    )
    mark_id: str | None = Field(default=None, description="The mark's id, eight hex digits.")
    key: str | None = Field(default=None, description="The id of the signing key.")


class ShownFrame(Reported):
    """A frame of a preview."""

    time_s: float = Field(description="When the target shows it, in seconds.")
    box: list[int] = Field(description="Where it is in the preview: x, y, width, height.")


class Estimate(Reported):
    """What a swap would take on one worker like the one that answered."""

    people: int = Field(description="People in the frames that were looked at.")
    frames: int = Field(description="Frames of the target.")
    duration_s: float = Field(description="Its duration in seconds; 0 for an image.")
    seconds: float = Field(description="Seconds of the swap, without the time in the queue.")
    fps: float = Field(description="Frames a second.")
    # What an operator may charge by: it follows the work, not the file's size.
    cost_units: int = Field(description="Faces to be swapped, counted in every frame.")
    # Empty when nothing stands against the swap.
    refusals: list[FailureCode] = Field(description="Codes for which the swap would fail.")


class JobReport(Reported):
    """What a job tells when it has ended; empty before. Analyses and refinements tell less."""

    outcome: JobOutcome | None = Field(
        default=None, description="`partial` where an assignment is not `swapped` in every frame."
    )
    assignments: list[AssignmentOutcome] = Field(
        default=[], description="What became of each assignment, in the request's order."
    )
    faces: list[PersonReport] = Field(
        default=[], description="Everybody seen in the target, in order of appearance."
    )
    quality: float | None = Field(
        default=None, description="0 to 1: how well the worst of the chosen people was swapped."
    )
    # Stable names, so that clients can branch on them.
    notes: list[str] = Field(
        default=[], description="What was changed or left out beside the faces, as stable names."
    )
    pack: str | None = Field(default=None, description="The pack that did the work.")
    counters: dict[str, int] | None = Field(
        default=None, description="How often each network ran, and what else the engine counts."
    )
    provenance: ProvenanceReport | None = Field(
        default=None, description="How the result is marked and signed."
    )
    frames: int | None = Field(default=None, description="Frames of the result; videos only.")
    cuts: int | None = Field(default=None, description="Cuts that were found; videos only.")
    detections: int | None = Field(
        default=None, description="Frames in which the detector ran; videos only."
    )
    segments: int | None = Field(
        default=None, description="Parts in which the video was swapped; videos only."
    )
    people: int | None = Field(default=None, description="How many people; analyses only.")
    shown: list[ShownFrame] | None = Field(
        default=None, description="The frames side by side; previews only."
    )
    estimate: Estimate | None = Field(
        default=None, description="What a swap would take; estimates only."
    )
    frames_looked_at: int | None = Field(
        default=None, description="How many frames were looked at; analyses only."
    )


class AnalysedPerson(Reported):
    """One person of an analysed upload."""

    person_id: str = Field(description="What `faces` and `assignments` of a swap name them by.")
    frames: int = Field(description="Frames in which the person was seen.")
    first_seen_s: float = Field(description="When the person is first seen, in seconds.")
    last_seen_s: float = Field(description="When the person is last seen, in seconds.")
    boxes: list[list[float]] = Field(
        description="At most 200 of time in seconds, then x, y, width, height in pixels."
    )
    yaw_range_deg: list[float] = Field(description="Least and largest turn, in degrees.")
    eye_px_range: list[float] = Field(
        description="Least and largest distance between the eyes, in pixels."
    )
    thumbnail: str | None = Field(description="A JPEG of 160 pixels as a data URL.")


class AnalysisResult(Reported):
    """The result of an analysis, as its `urls.result` answers it."""

    kind: Literal["image", "animation", "video"] = Field(description="What the upload is.")
    width: int = Field(description="Pixels, upright.")
    height: int = Field(description="Pixels, upright.")
    frames_looked_at: int = Field(description="Frames that were looked at.")
    people: list[AnalysedPerson] = Field(description="Everybody found, in order of appearance.")


class JobEvent(Strict):
    """What a webhook carries: the end of a job."""

    type: Literal["job.succeeded", "job.failed", "job.canceled", "job.expired"] = Field(
        description="How the job ended."
    )
    timestamp: datetime = Field(description="When it ended.")
    data: Job = Field(description="The job.")


class JobStreamEvent(Reported):
    """One event of a job's stream, its lines `id`, `event` and `data` put together."""

    id: str = Field(description="What `Last-Event-ID` takes to go on after this event.")
    event: Literal["status", "progress", "completed"] = Field(description="What `data` holds.")
    data: Any = Field(
        description="JSON: the status, the progress (as the job's member), or the whole job."
    )
