"""Bodies of uploads: whole ones, ones in parts, and ones by way of the bucket."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.schemas.fields import EXAMPLE_SHA256, EXAMPLE_UPLOAD, LATE, example
from worker.contract.options import Strict


class Upload(Strict):
    """A stored file that jobs and registrations can name until it expires."""

    model_config = example(
        id=EXAMPLE_UPLOAD,
        sha256=EXAMPLE_SHA256,
        bytes=183_202,
        media_type="image/jpeg",
        width=1280,
        height=720,
        frames=1,
        duration_s=None,
        expires_at=LATE,
    )

    id: str = Field(description="`upl_` and 26 characters.")
    sha256: str = Field(description="SHA-256 of the file, in hex.")
    bytes: int = Field(description="Size of the file.")
    media_type: str = Field(description="What the file is, by its bytes.")
    width: int | None = Field(
        default=None, description="Pixels, upright; null where the file does not say."
    )
    height: int | None = Field(
        default=None, description="Pixels, upright; null where the file does not say."
    )
    # Counted by the header, which is all that an upload is asked for.
    frames: int | None = Field(
        default=None, description="Frames; 1 for a single image, null where the file does not say."
    )
    duration_s: float | None = Field(default=None, description="Seconds; null for images.")
    expires_at: datetime = Field(description="When it is deleted.")


class UploadList(Strict):
    """A page of uploads, newest first."""

    data: tuple[Upload, ...] = Field(description="The uploads of this page.")
    next_cursor: str | None = Field(default=None, description="Where the next page begins.")


class PartialUpload(Strict):
    """An upload that arrives in parts, or has arrived."""

    model_config = example(
        id=EXAMPLE_UPLOAD, bytes=48_183_202, received=16_777_216, expires_at=LATE
    )

    id: str = Field(description="`upl_` and 26 characters: the upload's, also when it is whole.")
    bytes: int = Field(description="Size of the whole file.")
    # What tus calls the offset.
    received: int = Field(description="Bytes that are there; equal to `bytes`, it can be used.")
    expires_at: datetime = Field(description="When it ends unless it goes on.")


class PresignedRequest(Strict):
    """A file that the client will PUT into the bucket itself."""

    model_config = example(bytes=48_183_202)

    # A terabyte; the operator's own bound is far below.
    bytes: Annotated[int, Field(ge=1, le=1 << 40)] = Field(description="Size of the file.")


class PresignedUpload(Strict):
    """Where to PUT a file, and what to ask for afterwards."""

    model_config = example(
        id=EXAMPLE_UPLOAD,
        url="https://bucket.s3.example.org/partials/upl/object?X-Amz-Signature=...",
        complete=f"/v1/uploads/presigned/{EXAMPLE_UPLOAD}/complete",
        expires_at=LATE,
    )

    id: str = Field(description="`upl_` and 26 characters: the upload's, once it is complete.")
    url: str = Field(description="Takes one PUT of the file, without further headers.")
    complete: str = Field(description="To be POSTed to when the file is there.")
    expires_at: datetime = Field(description="Until when the URL is accepted.")
