"""Bodies of requests and answers, with examples; what is stored and queued is `worker.contract`'s."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from service.problems import Problem
from worker.contract import (
    Assignment,
    FaceSelector,
    IdentityId,
    JobKind,
    Priority,
    Status,
    Strict,
    SwapOptions,
    UploadId,
)
from worker.key_store import Scope

EXAMPLE_IDENTITY = "idn_06avht3z9r7gqc2m5w8kxy4n1p"
EXAMPLE_JOB = "job_06avht5b1h7s4d9f2q6tjw3e8r"
EXAMPLE_UPLOAD = "upl_06avht2k8c7v5n1b3m9rqx6z0s"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_EARLY, _LATE = "2026-01-05T10:00:00Z", "2027-01-05T10:00:00Z"
Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?([/?][!-~]*)?$")]
MAX_METADATA_BYTES = 16 * 1024


def _small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may have at most {MAX_METADATA_BYTES} bytes as JSON")
    return metadata


Metadata = Annotated[dict[str, JsonValue], Field(max_length=32), AfterValidator(_small)]


def example(one_of: tuple[str, ...] = (), **members: object) -> ConfigDict:
    """Return a model's configuration: one example, and members of which `only_one` asks for exactly one, not null."""

    def describe(schema: dict[str, Any]) -> None:
        schema["examples"] = [members]
        for name in one_of:
            choices = schema["properties"][name].get("anyOf", ())
            schema["properties"][name] = next(choice for choice in choices if choice != {"type": "null"})
        if one_of:
            schema["oneOf"] = [{"required": [name]} for name in one_of]

    return ConfigDict(extra="forbid", frozen=True, json_schema_extra=describe)


def only_one(body: BaseModel, *names: str) -> None:
    """Raise ValueError unless exactly one of the members `names` was given, and not as null."""
    given = [name for name in names if name in body.model_fields_set]
    if len(given) != 1 or getattr(body, given[0]) is None:
        raise ValueError(f"give exactly one of {', '.join(names)}")


class Consent(Strict):
    """What a person agreed to: who, on what ground, for which uses, from when until when (until withdrawn without)."""

    model_config = example(
        subject="ada@example.org",
        basis="consent",
        scope=["image", "video"],
        granted_at=_EARLY,
        expires_at=_LATE,
    )

    subject: Annotated[str, Field(min_length=1, max_length=200)]
    basis: Literal["consent", "self", "contract"]
    scope: Annotated[frozenset[Literal["image", "video"]], Field(min_length=1)]
    granted_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    evidence_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Consent:
        if self.expires_at is not None and self.expires_at <= self.granted_at:
            raise ValueError("expires_at must be after granted_at")
        return self


class RegisterRequest(Strict):
    """Photos of one person that are already uploaded, or lie behind URLs."""

    model_config = example(
        one_of=("upload_ids", "urls"),
        upload_ids=[EXAMPLE_UPLOAD],
        name="ada",
        consent={
            "subject": "ada@example.org",
            "basis": "consent",
            "scope": ["image", "video"],
            "granted_at": _EARLY,
            "expires_at": _LATE,
        },
    )

    upload_ids: Annotated[tuple[UploadId, ...], Field(min_length=1, max_length=8)] | None = None
    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=8)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    consent: Consent | None = None
    quality: Literal["instant", "refined"] = "instant"

    @model_validator(mode="after")
    def _one_to_eight_photos(self) -> RegisterRequest:
        only_one(self, "upload_ids", "urls")
        return self


class RegisterForm(Strict):
    """The fields beside the photos of a multipart registration."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    consent: Consent | None = None
    quality: Literal["instant", "refined"] = "instant"


class PhotoQuality(Strict):
    """How good one photo is: eye distance in pixels, sharpness, turn of the head, brightness 0..255."""

    face_px: float
    sharpness: float
    yaw_deg: float
    brightness: float
    accepted: bool
    reason: str | None = None


class Standing(Strict):
    """How good swaps are: mean cosine with the identity's embedding, and the share of its photos' detail that shows."""

    similarity: float
    sharpness: float


class Refinement(Strict):
    """How the polishing of an identity's weights stands; `before` and `after` once it has succeeded."""

    job_id: str
    status: Status
    progress: dict[Literal["done", "total"], int] | None = None
    before: Standing | None = None
    after: Standing | None = None
    steps: int | None = None
    seconds: float | None = None
    code: str | None = Field(default=None, description="Why it failed.")


class Identity(Strict):
    """A registered face."""

    model_config = example(
        id=EXAMPLE_IDENTITY,
        name="ada",
        pack="open@3f2a9c81d07b",
        quality="instant",
        photos=[{"face_px": 118.0, "sharpness": 240.0, "yaw_deg": -3.1, "brightness": 131.0, "accepted": True}],
        consent=None,
        consent_required=False,
        cached=True,
        uses=0,
        created_at=_EARLY,
        expires_at=None,
        refinement=None,
    )

    id: str
    name: str | None = None
    pack: str
    quality: Literal["instant", "refined"] = "instant"
    photos: tuple[PhotoQuality, ...]
    consent: Consent | None = None
    consent_required: bool = Field(description="False where the operator runs a single-user installation.")
    cached: bool = Field(description="Whether the specialised weights are at hand; else the next job rebuilds them.")
    uses: int
    created_at: datetime
    expires_at: datetime | None = None
    refinement: Refinement | None = None


class IdentityList(Strict):
    data: tuple[Identity, ...]
    next_cursor: str | None = None


class ErasureReceipt(Strict):
    """Proof that an identity was erased, and what went with it."""

    model_config = example(
        identity_id=EXAMPLE_IDENTITY,
        erased_at=_EARLY,
        keys=3,
        jobs_canceled=1,
        results_deleted=0,
        log_rewritten_at=None,
    )

    identity_id: str
    erased_at: datetime
    keys: int = Field(description="Entries of the store that held the face.")
    jobs_canceled: int | None = Field(default=None, description="Jobs in flight that used it.")
    results_deleted: int | None = Field(default=None, description="Results deleted, when consent was withdrawn.")
    log_rewritten_at: datetime | None = Field(
        default=None, description="When the store's append-only file held no trace any more; within 60 s."
    )


class Upload(Strict):
    """A stored file that jobs and registrations can name until it expires."""

    model_config = example(
        id=EXAMPLE_UPLOAD,
        sha256=_SHA256,
        bytes=183_202,
        media_type="image/jpeg",
        width=1280,
        height=720,
        frames=1,
        duration_s=None,
        expires_at=_LATE,
    )

    id: str
    sha256: str
    bytes: int
    media_type: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration_s: float | None = None
    expires_at: datetime


class SwapInput(Strict):
    """Where the picture or film is: exactly one of the three."""

    model_config = example(one_of=("upload_id", "url", "base64"), upload_id=EXAMPLE_UPLOAD)

    upload_id: UploadId | None = None
    url: Url | None = None
    base64: Annotated[str, Field(min_length=4, max_length=1_400_000)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SwapInput:
        only_one(self, "upload_id", "url", "base64")
        return self


class RequestedOptions(SwapOptions):
    """How to swap, and with `identity_id` alone also whom."""

    faces: FaceSelector = "largest"

    def for_workers(self) -> SwapOptions:
        """Return the options without `faces`, which becomes an assignment."""
        return SwapOptions.model_validate(self.model_dump(exclude={"faces"}))


class SwapForm(Strict):
    """Everything of a swap but its input: the fields beside the file of a multipart request."""

    identity_id: IdentityId | None = None
    assignments: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=16)] | None = None
    options: RequestedOptions = RequestedOptions()
    webhook: Url | None = None
    metadata: Metadata = Field(default_factory=dict)
    priority: Priority = "normal"

    @model_validator(mode="after")
    def _somebody_to_wear(self) -> SwapForm:
        only_one(self, "identity_id", "assignments")
        return self

    def assigned(self) -> tuple[Assignment, ...]:
        """Return who wears which face, whichever way it was said."""
        if self.identity_id is not None:
            return (Assignment(face=self.options.faces, identity_id=self.identity_id),)
        return self.assignments or ()


class SwapRequest(SwapForm):
    """A picture or film, and who is swapped into it."""

    model_config = example(
        one_of=("identity_id", "assignments"),
        input={"upload_id": EXAMPLE_UPLOAD},
        identity_id=EXAMPLE_IDENTITY,
        options={"faces": "largest", "blend": 1.0},
    )

    input: SwapInput


class AnalysisRequest(Strict):
    """An upload whose people are to be found."""

    model_config = example(input={"upload_id": EXAMPLE_UPLOAD})

    input: SwapInput
    webhook: Url | None = None
    metadata: Metadata = Field(default_factory=dict)
    priority: Priority = "normal"


class JobProgress(Strict):
    done: int
    total: int
    unit: str
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
        created_at=_EARLY,
        started_at=_EARLY,
        finished_at=_EARLY,
        expires_at=_LATE,
        input={"upload_id": EXAMPLE_UPLOAD},
        assignments=[{"face": "largest", "identity_id": EXAMPLE_IDENTITY}],
        pack="open@3f2a9c81d07b",
        result={
            "url": f"/v1/jobs/{EXAMPLE_JOB}/result",
            "sha256": _SHA256,
            "bytes": 201_400,
            "media_type": "image/jpeg",
            "width": 1280,
            "height": 720,
            "frames": 1,
        },
        report={"faces": [{"person_id": "p1", "frames_swapped": 1, "frames_skipped": {}}]},
        error=None,
        timings={"queue_ms": 3.0, "swap_ms": 21.0, "total_ms": 48.0},
        metadata={},
        urls={
            "self": f"/v1/jobs/{EXAMPLE_JOB}",
            "cancel": f"/v1/jobs/{EXAMPLE_JOB}/cancel",
            "events": f"/v1/jobs/{EXAMPLE_JOB}/events",
            "result": f"/v1/jobs/{EXAMPLE_JOB}/result",
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
    result: JobResultLink | None = None
    report: dict[str, Any]
    error: Problem | None = None
    timings: dict[str, float]
    metadata: dict[str, Any]
    urls: JobUrls


class JobList(Strict):
    data: tuple[Job, ...]
    next_cursor: str | None = None


class WebhookEndpointRequest(Strict):
    """Where to send the events of this tenant's jobs."""

    model_config = example(url="https://app.example.org/hooks/likeness")

    url: Url


class WebhookEndpoint(Strict):
    """A registered receiver; `secret` is shown when it is made or rotated, and never again."""

    model_config = example(
        id="whe_06avht7m3k5p8r2t4w6y9a1c3e",
        url="https://app.example.org/hooks/likeness",
        enabled=True,
        created_at=_EARLY,
        secret="whsec_shown_once",  # noqa: S106 - an example, not a secret
    )

    id: str
    url: str
    enabled: bool
    disabled_reason: str | None = None
    created_at: datetime
    secret: str | None = None


class WebhookSecret(Strict):
    """What signs messages to the `webhook` of a job; one for all jobs of the tenant."""

    model_config = example(secret="whsec_of_this_tenant")  # noqa: S106 - an example, not a secret

    secret: str


class WebhookEndpointList(Strict):
    data: tuple[WebhookEndpoint, ...]


class KeyRequest(Strict):
    """A key to make for the caller's own tenant, and what it may do."""

    model_config = example(name="web app", scopes=["identities:write", "jobs:write", "jobs:read"])

    name: Annotated[str, Field(max_length=100)] = ""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]


class Key(Strict):
    """An API key without its secret; `token` is shown when it is made or rotated, and never again."""

    model_config = example(
        id="0f3a5c7e9b1d2f4a",
        name="web app",
        scopes=["identities:write", "jobs:read", "jobs:write"],
        created_at=_EARLY,
        expires_at=None,
        revoked_at=None,
        token=None,
    )

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    token: str | None = None


class KeyList(Strict):
    data: tuple[Key, ...]


class Model(Strict):
    """A pack that this installation can use."""

    id: str
    name: str
    default: bool
    provider: str | None = None


class ModelList(Strict):
    data: tuple[Model, ...]


class QueueCapacity(Strict):
    name: str
    queued: int
    running: int
    oldest_age_s: float | None = None


class TenantUse(Strict):
    """What the caller's tenant has in flight."""

    jobs: int
    bytes: int


class Capacity(Strict):
    """How full the service is, and how much of it this tenant uses."""

    model_config = example(
        queues=[{"name": "image", "queued": 2, "running": 1, "oldest_age_s": 0.4}],
        workers=2,
        accepting=True,
        limit=1000,
        tenant={"jobs": 1, "bytes": 183_202},
    )

    queues: tuple[QueueCapacity, ...]
    workers: int
    accepting: bool
    limit: int = Field(description="Jobs that may be in flight, of all tenants together.")
    tenant: TenantUse


class Health(BaseModel):
    status: Literal["ok", "starting", "unavailable"]
    checks: dict[str, JsonValue] = Field(default_factory=dict)
