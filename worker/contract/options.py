"""Who is swapped and how: what a client chooses for a job."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    Tag,
    WithJsonSchema,
)

from worker.formats import Codec, OutputFormat

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
        tuple[float, float, PositiveFloat, PositiveFloat],
        WithJsonSchema(_FOUR_NUMBERS),
        Field(
            description=(
                "x, y, width, height in pixels of the upright image, as every box in this API;"
                " width and height above 0. The face that overlaps it most at first sight."
            )
        ),
    ]


class ReferenceSelector(Strict):
    reference: IdentityId = Field(
        description="The face that looks most like this identity, if any does."
    )


_BY_KEY = ("person_id", "index", "box", "reference")


def _form_of(given: Any) -> str | None:  # noqa: ANN401 - whatever a client sends
    """Return the tag of a selector's form, None where it has none of them."""
    if isinstance(given, str):
        return "word"
    keys = given if isinstance(given, dict) else getattr(type(given), "model_fields", ())
    return next((key for key in _BY_KEY if key in keys), None)


# By the form that was given, so that an error names what is wrong with it and not with the others.
FaceSelector = Annotated[
    Annotated[Literal["largest", "all"], Tag("word")]
    | Annotated[PersonSelector, Tag("person_id")]
    | Annotated[IndexSelector, Tag("index")]
    | Annotated[BoxSelector, Tag("box")]
    | Annotated[ReferenceSelector, Tag("reference")],
    Discriminator(
        _form_of,
        custom_error_type="face_selector",
        custom_error_message=(
            "Give 'largest', 'all', or an object with one of person_id, index, box, reference"
        ),
    ),
]


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
    # 51 is the coarsest that H.264 and HEVC have.
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
