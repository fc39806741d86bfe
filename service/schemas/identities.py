"""Bodies of registration, identities and their erasure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.schemas.consent import Consent
from service.schemas.fields import (
    EARLY,
    EXAMPLE_IDENTITY,
    EXAMPLE_UPLOAD,
    LATE,
    Plain,
    Url,
    example,
    only_one,
)
from worker.contract.jobs import Status
from worker.contract.options import Strict, UploadId


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
    name: Annotated[str, Field(min_length=1, max_length=100), Plain] | None = Field(
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

    name: Annotated[str, Field(min_length=1, max_length=100), Plain] | None = Field(
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

    name: Annotated[str, Field(min_length=1, max_length=100), Plain] | None = Field(
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
