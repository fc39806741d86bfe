"""Bodies of uploads, swaps and analyses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from service.schemas.consent import Consent
from service.schemas.fields import (
    EXAMPLE_IDENTITY,
    EXAMPLE_UPLOAD,
    Metadata,
    Plain,
    Url,
    example,
    only_one,
)
from worker.contract.options import (
    Assignment,
    FaceSelector,
    IdentityId,
    Strict,
    SwapOptions,
    UploadId,
)
from worker.contract.requests import Priority

Preset = Literal["natural", "faithful", "fast"]

# Measured on composites: docs/options.md. `natural` is what the options are by default.
PRESETS: dict[str, dict[str, Any]] = {
    "natural": {},
    # More of the source: less of the target's light and a narrower seam, written with less loss.
    "faithful": {
        "colour_match": 0.7,
        "mask": {"feather": 0.35},
        "output": {"quality": 96, "crf": 17},
    },
    # Fewer pixels to encode, and faces too small to be recognised in them are left alone.
    "fast": {"min_face_px": 24, "output": {"max_side": 1280, "crf": 26}},
}


def merged(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` with what it leaves out taken from `defaults`, also inside of objects."""
    whole = {**defaults, **given}
    for name, default in defaults.items():
        if isinstance(default, dict) and isinstance(given.get(name), dict):
            whole[name] = {**default, **given[name]}
    return whole


class SwapInput(Strict):
    """Where the image or video is: exactly one of the three."""

    model_config = example(one_of=("upload_id", "url", "base64"), upload_id=EXAMPLE_UPLOAD)

    upload_id: UploadId | None = Field(default=None, description="An upload.")
    url: Url | None = Field(default=None, description="A public address, fetched once.")
    # One MiB of bytes as base64, and a little for line breaks.
    base64: Annotated[str, Field(min_length=4, max_length=1_400_000)] | None = Field(
        default=None, description="The file itself in base64, at most 1 MiB, also as a data URL."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> SwapInput:
        only_one(self, "upload_id", "url", "base64")
        return self


class RequestedOptions(SwapOptions):
    """How to swap, and with `identity_id` alone also which faces."""

    faces: FaceSelector = Field(
        default="largest", description="Whom to replace, where the request names one identity."
    )
    preset: Preset | None = Field(
        default=None,
        description="A choice for all options that are not given: `natural`, `faithful`, `fast`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a client sends
        preset = given.get("preset") if isinstance(given, dict) else None
        if isinstance(preset, str) and preset in PRESETS:
            return merged(PRESETS[preset], given)
        return given

    def for_workers(self) -> SwapOptions:
        """Return the options without `faces`, which becomes an assignment."""
        return SwapOptions.model_validate(self.model_dump(exclude={"faces", "preset"}))


class NotifiedForm(Strict):
    """Whom to tell a job's end, and what to tell with it."""

    webhook: Url | None = Field(
        default=None, description="Where to send the job's end, beside the tenant's endpoints."
    )
    metadata: Metadata = Field(
        default_factory=dict,
        description="Whatever the caller wants back: up to 32 members, 16 KiB as JSON.",
    )


class JobForm(NotifiedForm):
    """What every job with an input may be given beside it."""

    priority: Priority = Field(
        default="normal", description="Which of the tenant's own jobs go first."
    )


class SwapForm(JobForm):
    """A swap without its input: the fields beside the file of a multipart request."""

    identity_id: IdentityId | None = Field(
        default=None, description="The identity to swap in; `options.faces` says for whom."
    )
    # Sixteen people in one image: more is a crowd, and each costs a pass of the network for every
    # frame.
    assignments: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=16)] | None = (
        Field(default=None, description="Which identity goes onto which face, up to 16.")
    )
    options: RequestedOptions = Field(default=RequestedOptions(), description="How to swap.")

    @model_validator(mode="after")
    def _has_identity(self) -> SwapForm:
        only_one(self, "identity_id", "assignments")
        # Only where it was given: the default says nothing about what the client wants.
        if self.assignments is not None and "faces" in self.options.model_fields_set:
            raise ValueError(
                "options.faces goes with identity_id; with assignments, each names its own face"
            )

        return self

    def assigned(self) -> tuple[Assignment, ...]:
        """Return which identity goes onto which face, in either form of the request."""
        if self.identity_id is not None:
            return (Assignment(face=self.options.faces, identity_id=self.identity_id),)
        # Never empty once validated; the type checker does not know that.
        return self.assignments or ()


class OneCallForm(Strict):
    """The fields beside `source` and `target` of a swap in one call."""

    consent: Consent | None = Field(
        default=None, description="What the person on the `source` photos agreed to."
    )
    name: Annotated[str, Field(min_length=1, max_length=100), Plain] | None = Field(
        default=None, description="A name for the identity, where it is kept."
    )
    keep_identity: bool = Field(
        default=False,
        description="Keep the identity after the job; else it is erased within seconds of the"
        " job's end.",
    )
    options: RequestedOptions = Field(
        default=RequestedOptions(), description="How to swap, and which faces."
    )
    webhook: Url | None = Field(default=None, description="Where to tell the job's end.")
    metadata: Metadata = Field(default_factory=dict, description="Kept with the job.")
    priority: Priority = Field(default="normal", description="Among the tenant's own jobs.")


class SwapRequest(SwapForm):
    """An image or video, and whose face is swapped into it."""

    model_config = example(
        one_of=("identity_id", "assignments"),
        input={"upload_id": EXAMPLE_UPLOAD},
        identity_id=EXAMPLE_IDENTITY,
        options={"faces": "largest", "blend": 1.0},
    )

    input: SwapInput = Field(description="The image or video.")


class ExportRequest(NotifiedForm):
    """How an identity is to be written for a device, and how long it may be used there."""

    model_config = example(form="litert", expires_in_s=2_592_000)

    form: Literal["litert", "onnx"] = Field(
        default="litert",
        description="`litert` for phones (LiteRT, XNNPACK), `onnx` for browsers and ONNX Runtime.",
    )
    expires_in_s: Annotated[int, Field(ge=3600, le=31_622_400)] = Field(
        default=2_592_000,
        description="Seconds after which players refuse the file; never beyond the consent's own"
        " `expires_at`.",
    )


class AnalysisRequest(JobForm):
    """An input in which people are to be found."""

    model_config = example(input={"upload_id": EXAMPLE_UPLOAD})

    input: SwapInput = Field(description="The image or video.")
