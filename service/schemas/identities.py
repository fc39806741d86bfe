"""Bodies of registration, identities and their erasure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from service.schemas.fields import (
    EARLY,
    EXAMPLE_IDENTITY,
    EXAMPLE_UPLOAD,
    LATE,
    Url,
    example,
    only_one,
)
from worker.contract.jobs import Status
from worker.contract.options import Strict, UploadId

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


def _as_text(moment: object) -> object:
    if isinstance(moment, str) and "T" not in moment.upper():
        raise ValueError("the time must be RFC 3339, as 2026-01-05T10:00:00Z")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# Of a query, where a number is text too, and would be taken for seconds since the epoch.
QueryMoment = Annotated[Moment, BeforeValidator(_as_text)]
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
    subject: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="Who is shown: an address or a name, as the operator knows them."
    )
    # What the operator relies on; "self" is a person's own face.
    basis: Literal["consent", "self", "contract"] = Field(
        description="On what ground the face may be used; `self` is the caller's own face."
    )
    # An empty scope would be a consent to nothing.
    scope: Annotated[frozenset[Literal["image", "video", "export"]], Field(min_length=1)] = Field(
        description="What the face may be used for: swaps into images, swaps into videos, and"
        " export as a file that swaps on a device."
    )
    # A consent that will be given is none yet.
    granted_at: PastMoment = Field(description="When consent was given; not in the future.")
    expires_at: Moment | None = Field(
        default=None, description="When consent ends; null until it is withdrawn."
    )
    evidence_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256, in hex, of a document that shows the consent; the document stays with"
        " the caller.",
    )
    # The operator's statement; the service only asks for it where a face looks young.
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
    upload_ids: Annotated[tuple[UploadId, ...], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="1 to 8 uploads, each a photo of the person; they are deleted."
    )
    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="1 to 8 public addresses of photos of the person."
    )
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="A name for lists, for the caller's own use."
    )
    consent: Consent | None = Field(
        default=None,
        description="What the person agreed to; needed unless `consent_required` is false.",
    )
    quality: Literal["instant", "refined"] = Field(
        default="instant",
        description="`refined` improves the identity in the background for some minutes.",
    )

    @model_validator(mode="after")
    def _one_to_eight_photos(self) -> RegisterRequest:
        only_one(self, "upload_ids", "urls")
        return self


class RegisterForm(Strict):
    """The fields beside the photos of a multipart registration."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="A name for lists, for the caller's own use."
    )
    consent: Consent | None = Field(default=None, description="What the person agreed to, as JSON.")
    quality: Literal["instant", "refined"] = Field(
        default="instant",
        description="`refined` improves the identity in the background for some minutes.",
    )


class IdentityChange(Strict):
    """What of an identity may be changed."""

    model_config = example(name="ada, with glasses")

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        description="A name for lists; null for none."
    )


class PhotoWarning(Strict):
    """Something about a photo that may make swaps worse: a stable code, and a sentence with the
    figure measured.
    """

    code: str = Field(description="Stable name of what may make swaps worse.")
    detail: str = Field(description="A sentence with the figure that was measured.")


class PhotoQuality(Strict):
    """Quality of a photo: eye distance in pixels, sharpness, yaw in degrees, brightness 0..255; why
    it was left out, as a stable code and in words; and warnings.
    """

    face_px: float = Field(description="Distance between the eyes, in pixels.")
    sharpness: float = Field(
        description="Variance of the Laplacian over the face; sharp photos have over 100."
    )
    yaw_deg: float = Field(description="How far the face is turned, in degrees; 0 is frontal.")
    brightness: float = Field(description="Mean luma of the face, 0 to 255.")
    accepted: bool = Field(description="Whether the photo went into the identity.")
    reason: str | None = Field(
        default=None, description="Why it was left out, as a stable name; null where it was not."
    )
    detail: str | None = Field(default=None, description="The same in words.")
    warnings: tuple[PhotoWarning, ...] = Field(default=(), description="What may make swaps worse.")


class SwapQuality(Strict):
    """Quality of swaps: mean cosine with the identity's embedding, and the share of the photos'
    detail that is visible.
    """

    similarity: float = Field(description="Mean cosine with the identity's embedding, -1 to 1.")
    sharpness: float = Field(description="Share of the photos' detail that is visible, 0 to 1.")


class Refinement(Strict):
    """The state of an identity's refinement; `before` and `after` are set once it has succeeded."""

    job_id: str = Field(description="The job that refines.")
    status: Status = Field(description="The job's status.")
    progress: dict[Literal["done", "total"], int] | None = Field(
        default=None, description="Steps that are done, of how many."
    )
    before: SwapQuality | None = Field(
        default=None, description="Quality of swaps before; null until it has succeeded."
    )
    after: SwapQuality | None = Field(
        default=None, description="Quality of swaps after; null until it has succeeded."
    )
    steps: int | None = Field(default=None, description="Steps of training.")
    seconds: float | None = Field(default=None, description="Seconds it took.")
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

    id: str = Field(description="`idn_` and 26 characters.")
    name: str | None = Field(default=None, description="The name given at registration.")
    pack: str = Field(description="The pack it was registered with.")
    quality: Literal["instant", "refined"] = Field(
        default="instant", description="`refined` once a refinement has succeeded."
    )
    # One report a photo, in the order in which they came.
    photos: tuple[PhotoQuality, ...] = Field(
        description="A report for each photo, in the order sent."
    )
    consent: Consent | None = Field(
        default=None, description="What the person agreed to; null where none was asked for."
    )
    # Said with each identity, so that a reviewer sees under which rule it was registered.
    consent_required: bool = Field(
        description="False where the operator runs a single-user installation."
    )
    # Explains why the first swap after a while takes longer.
    cached: bool = Field(
        description="Whether the specialised weights are cached; else the next job rebuilds them."
    )
    uses: int = Field(description="Jobs that have used it.")
    created_at: datetime = Field(description="When it was registered.")
    expires_at: datetime | None = Field(
        default=None, description="When its consent ends, and it with it; null for never."
    )
    refinement: Refinement | None = Field(
        default=None, description="State of its refinement; null where none was asked for."
    )


class IdentityList(Strict):
    data: tuple[Identity, ...] = Field(description="The page, newest first.")
    next_cursor: str | None = Field(
        default=None, description="`cursor` of the next page; null at the end."
    )


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

    identity_id: str = Field(description="The identity that was erased.")
    erased_at: datetime = Field(description="When.")
    keys: int = Field(description="Store keys that held data of the face.")
    jobs_canceled: int | None = Field(default=None, description="Jobs in flight that used it.")
    results_deleted: int | None = Field(
        default=None, description="Results deleted, when consent was withdrawn."
    )
    log_rewritten_at: datetime | None = Field(
        default=None,
        description="When the store's append-only file no longer held a trace; within 60 s, and"
        " never where it keeps none.",
    )
