"""Swap the faces of a still: decode, cast, swap, encode."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from models.inference.engine import FaceReport, FaceSwapEngine
from models.inference.errors import FaceNotFoundError
from worker.errors import JobFailure
from worker.job_context import JobContext, Outcome
from worker.media.images import ENCODED, decode_image, encode_image, fit_within
from worker.settings import MediaLimits
from worker.stores.durable_files import noticing_full_disk
from worker.use_cases.casting import Casting, swap_options

DEFAULT_QUALITY = 92


class SwapImage:
    """The use case `swap_image`, on an engine with its models loaded."""

    def __init__(self, engine: FaceSwapEngine, casting: Casting, limits: MediaLimits) -> None:
        self._engine = engine
        self._casting = casting
        self._limits = limits

    def __call__(self, context: JobContext) -> Outcome:
        """The swapped picture, in the input's format unless the options name one.

        Raises:
            JobFailure: `input_unreadable`, `unsupported_media`, `too_large`, `face_not_found`,
            `identity_erased`. Canceled, Superseded
        """
        payload, timings = context.job.payload, dict[str, float]()
        with timed(timings, "decode_ms"):
            picture = decode_image(context.input, self._limits)
        context.progress(0, 1, "image")
        with timed(timings, "cast_ms"):
            assignments = self._casting.assignments(payload, context.identities)
        with timed(timings, "swap_ms"):
            try:
                swapped = self._engine.swap_frame(
                    picture.bgr, assignments, swap_options(payload.options)
                )
            except FaceNotFoundError as error:
                raise JobFailure("face_not_found", error.message) from error
        output = payload.options.output
        format = output.format or (picture.format if picture.format in ENCODED else "png")
        with timed(timings, "encode_ms"):
            alpha = None if picture.alpha is None else fit_within(picture.alpha, output.max_side)
            shown = fit_within(swapped.frame, output.max_side)
            quality = output.quality or DEFAULT_QUALITY
            body = encode_image(
                shown, alpha, format=format, quality=quality, icc_profile=picture.icc_profile
            )
        context.progress(1, 1, "image")
        file = context.work / f"picture.{format}"
        with noticing_full_disk():
            file.write_bytes(body)
        height, width = shown.shape[:2]
        report = {"faces": faces_report(swapped.faces), "notes": list(picture.notes)}
        return Outcome(file, f"image/{format}", f".{format}", width, height, 1, report, timings)


def faces_report(faces: Sequence[FaceReport]) -> list[dict[str, Any]]:
    """What the job's report says of each face; boxes in pixels of the upright picture."""
    return [
        {
            "person_id": face.person_id,
            "box": [round(value, 1) for value in face.box],
            "yaw_deg": round(face.yaw_deg, 1),
            "eye_px": round(face.eye_px, 1),
            "frames_swapped": int(face.swapped),
            "frames_skipped": {face.reason: 1} if face.reason else {},
        }
        for face in faces
    ]


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the block's wall time in milliseconds to `timings`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - began) * 1e3
