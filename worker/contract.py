"""What the service and the workers say to each other: kinds, states, failure codes, payloads and
records.

Light: no image or tensor library. Payloads are pydantic models because they cross the queue; what
is handed out inside a process is a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from worker.failures import FailureCode
from worker.formats import Codec, OutputFormat

JobKind = Literal["swap_image", "swap_video", "analysis", "preview", "estimate", "refine", "export"]
QueueName = Literal["image", "video", "refine"]
Status = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled", "expired"]
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
FINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled", "expired"})

JobOutcome = Literal["succeeded", "partial", "failed"]
AssignmentStatus = Literal["swapped", "partly", "left_alone", "not_found"]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
IdentityId = Annotated[str, Field(pattern=r"^idn_[0-9a-z]{26}$")]
UploadId = Annotated[str, Field(pattern=r"^upl_[0-9a-z]{26}$")]


class Strict(BaseModel):
    """A body that refuses fields it does not know and does not change once made.

    No number in it is infinite or NaN: JSON could not carry it further.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,  # an answer has all its members
    )


class PersonSelector(Strict):
    person_id: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="A person, as an analysis of the same upload names them."
    )


class IndexSelector(Strict):
    index: Annotated[
        int, Field(ge=0, lt=64, description="Faces counted from left to right in the first frame.")
    ]


# Generators of clients do not know the prefixItems that a tuple has.
_FOUR_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}


class BoxSelector(Strict):
    box: Annotated[
        tuple[float, float, float, float],
        WithJsonSchema(_FOUR_NUMBERS),
        Field(
            description=(
                "x, y, width, height in pixels of the upright image, as every box in this API; the"
                " face that overlaps it most at first sight."
            )
        ),
    ]


class ReferenceSelector(Strict):
    reference: IdentityId = Field(
        description="The face that looks most like this identity, if any does."
    )


FaceSelector = (
    Literal["largest", "all"] | PersonSelector | IndexSelector | BoxSelector | ReferenceSelector
)


class Assignment(Strict):
    """Which identity goes onto which face."""

    face: FaceSelector = Field(default="largest", description="Whom to replace.")
    identity_id: IdentityId = Field(description="By whom.")


class MaskOptions(Strict):
    feather: Fraction = Field(
        default=0.5, description="How soft the edge of the swapped face is, 0 to 1."
    )
    erode: Fraction = Field(default=0.0, description="How much smaller it is, 0 to 1.")


class OutputOptions(Strict):
    """How the result is written; what is left out follows the input."""

    format: OutputFormat | None = Field(
        default=None, description="Container or image format; as the input."
    )
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Of JPEG and WebP, 1 to 100."
    )
    crf: Annotated[int, Field(ge=0, le=51)] | None = Field(
        default=None, description="Of videos: constant rate factor, lower is better and larger."
    )
    codec: Codec | None = Field(default=None, description="Of videos.")
    max_side: Annotated[int, Field(ge=16, le=8192)] | None = Field(
        default=None, description="Pixels; larger results are scaled down."
    )


class SwapOptions(Strict):
    blend: Fraction = Field(
        default=1.0, description="How much of the swap is seen, 0 (the target) to 1."
    )
    mask: MaskOptions = Field(default=MaskOptions(), description="The edge of the swapped face.")
    preserve: frozenset[Literal["mouth", "eyes"]] = Field(
        default=frozenset(), description="What is kept of the target."
    )
    colour_match: Fraction = Field(
        default=1.0, description="How far the face takes the target's colours, 0 to 1."
    )
    smoothing: Fraction = Field(
        default=0.5, description="How far landmarks are steadied from frame to frame, 0 to 1."
    )
    output: OutputOptions = Field(default=OutputOptions(), description="How the result is written.")
    audio: Literal["copy", "drop"] = Field(
        default="copy", description="Whether a video's sound is kept."
    )
    # Smaller faces have hardly a feature to swap.
    min_face_px: Annotated[int, Field(ge=8, le=1024)] = Field(
        default=16, description="Faces with less between the eyes, in pixels, are left alone."
    )
    # Beyond it the far half of the face is hidden.
    max_yaw_deg: Annotated[float, Field(gt=0, le=90)] = Field(
        default=62.0, description="Faces turned further, in degrees, are left alone."
    )
    min_quality: Fraction | None = Field(
        default=None,
        description="Fail with `low_quality_result` below this quality, 0 to 1; null for never.",
    )
    allow_unswapped: Annotated[
        bool,
        Field(
            description=(
                "Deliver the result also when nobody in it was swapped; without, such a job fails"
                " with `nobody_swapped`, `face_not_found` or `no_face`."
            )
        ),
    ] = False


class ExportOptions(Strict):
    """How an identity is written for a device: `litert` for LiteRT, `onnx` for ONNX Runtime.

    `expires_at` is in seconds since the epoch; players refuse the file after it.
    """

    form: Literal["litert", "onnx"] = "litert"
    expires_at: float


class JobPayload(Strict):
    """What a worker reads to do a job: ids and options, never bytes or paths."""

    version: Literal[1] = 1
    kind: JobKind
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
        worn = {assignment.identity_id for assignment in self.assignments}
        return frozenset(
            worn
            | {a.face.reference for a in self.assignments if isinstance(a.face, ReferenceSelector)}
        )


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
class JobRequest:
    """A job somebody wants done.

    `deadline_s` counts from admission, `input_bytes` is held against the quota. A
    `temporary_identity` is erased when the job has ended, however it ends.
    """

    payload: JobPayload
    priority: Priority = "normal"
    deadline_s: float | None = None
    input_bytes: int = 0
    temporary_identity: str | None = None
    webhook: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    requeued_from: str | None = None


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's Idempotency-Key and the SHA-256 of the body that came with it."""

    key: str
    fingerprint: str


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
        return self.id.split("-", 1)[0]

    @property
    def step(self) -> str | None:
        return self.id.partition("-")[2] or None
