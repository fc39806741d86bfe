"""Bodies of registration, identities and their erasure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from service.schemas.fields import (
    EARLY,
    EXAMPLE_IDENTITY,
    EXAMPLE_UPLOAD,
    LATE,
    Url,
    example,
    only_one,
)
from worker.contract import (
    Status,
    Strict,
    UploadId,
)

# Consent that begins or ends outside these years is a mistake of the sender's; and no time zone
# can move a moment within them beyond what a datetime holds.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)  # clients whose clock is ahead of ours


def _in_utc(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error

    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("the time is out of range")

    return moment


def _in_the_past(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + _CLOCK_SKEW:
        raise ValueError("the time lies in the future")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
PastMoment = Annotated[AwareDatetime, AfterValidator(_in_utc), AfterValidator(_in_the_past)]


class Consent(Strict):
    """What a person agreed to: on what basis, for which uses, and for how long.

    Without `expires_at` the consent holds until it is withdrawn.
    """

    model_config = example(
        subject="ada@example.org",
        basis="consent",
        scope=["image", "video"],
        granted_at=EARLY,
        expires_at=LATE,
    )

    # The operator's own name for the person: an address, a number. It is never interpreted.
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    basis: Literal["consent", "self", "contract"]
    # An empty scope would be a consent to nothing.
    scope: Annotated[frozenset[Literal["image", "video"]], Field(min_length=1)]
    granted_at: PastMoment = Field(description="When consent was given; not in the future.")
    expires_at: Moment | None = None
    evidence_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    adult: bool = Field(
        default=False,
        description="Whether the evidence shows that the person is of age; asked for where the"
        " face looks younger than 25.",
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Consent:
        if self.expires_at is not None and self.expires_at <= self.granted_at:
            raise ValueError("expires_at must be after granted_at")
        return self


class RegisterRequest(Strict):
    """Photos of one person that are uploaded already, or are fetched from URLs."""

    model_config = example(
        one_of=("upload_ids", "urls"),
        upload_ids=[EXAMPLE_UPLOAD],
        name="ada",
        consent={
            "subject": "ada@example.org",
            "basis": "consent",
            "scope": ["image", "video"],
            "granted_at": EARLY,
            "expires_at": LATE,
        },
    )

    # More photos than eight gain nothing measurable, and each costs an encoding.
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


class PhotoWarning(Strict):
    """Something about a photo that may make swaps worse: a stable code, and a sentence with the
    figure measured.
    """

    code: str
    detail: str


class PhotoQuality(Strict):
    """Quality of a photo: eye distance in pixels, sharpness, yaw in degrees, brightness 0..255; why
    it was left out, as a stable code and in words; and warnings.
    """

    face_px: float
    sharpness: float
    yaw_deg: float
    brightness: float
    accepted: bool
    reason: str | None = None
    detail: str | None = None
    warnings: tuple[PhotoWarning, ...] = ()


class SwapQuality(Strict):
    """Quality of swaps: mean cosine with the identity's embedding, and the share of the photos'
    detail that is visible.
    """

    similarity: float
    sharpness: float


class Refinement(Strict):
    """The state of an identity's refinement; `before` and `after` are set once it has succeeded."""

    job_id: str
    status: Status
    progress: dict[Literal["done", "total"], int] | None = None
    before: SwapQuality | None = None
    after: SwapQuality | None = None
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
        photos=[
            {
                "face_px": 118.0,
                "sharpness": 240.0,
                "yaw_deg": -3.1,
                "brightness": 131.0,
                "accepted": True,
            }
        ],
        consent=None,
        consent_required=False,
        cached=True,
        uses=0,
        created_at=EARLY,
        expires_at=None,
        refinement=None,
    )

    id: str
    name: str | None = None
    pack: str
    quality: Literal["instant", "refined"] = "instant"
    photos: tuple[PhotoQuality, ...]
    consent: Consent | None = None
    consent_required: bool = Field(
        description="False where the operator runs a single-user installation."
    )
    cached: bool = Field(
        description="Whether the specialised weights are cached; else the next job rebuilds them."
    )
    uses: int
    created_at: datetime
    expires_at: datetime | None = None
    refinement: Refinement | None = None


class IdentityList(Strict):
    data: tuple[Identity, ...]
    next_cursor: str | None = None


class ErasureReceipt(Strict):
    """Proof that an identity was erased, and what was deleted with it."""

    model_config = example(
        identity_id=EXAMPLE_IDENTITY,
        erased_at=EARLY,
        keys=3,
        jobs_canceled=1,
        results_deleted=0,
        log_rewritten_at=None,
    )

    identity_id: str
    erased_at: datetime
    keys: int = Field(description="Store keys that held data of the face.")
    jobs_canceled: int | None = Field(default=None, description="Jobs in flight that used it.")
    results_deleted: int | None = Field(
        default=None, description="Results deleted, when consent was withdrawn."
    )
    log_rewritten_at: datetime | None = Field(
        default=None,
        description="When the store's append-only file no longer held a trace; within 60 s.",
    )
