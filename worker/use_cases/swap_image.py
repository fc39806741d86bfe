"""Use case: swap the faces of one image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from models.inference.arrays import BgrImage, Embedding
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceReport
from models.inference.swapping.image_swapper import SwapOutcome
from worker.contract.requests import JobPayload
from worker.formats import IMAGE_FORMATS, MEDIA_TYPES, WRITTEN_FOR
from worker.job_context import JobContext, Outcome
from worker.media.images import decode_image, encode_image, fit_within
from worker.settings import MediaLimits
from worker.stores.blobs.durable_files import noticing_full_disk
from worker.use_cases.identity_loader import IdentityLoader, swap_options
from worker.use_cases.outcomes import assignment_outcomes, outcome_report, require_somebody
from worker.use_cases.screening import require_nobody_blocked
from worker.use_cases.target_examiner import TargetExaminer
from worker.video.report import require_quality, video_quality

# Hardly to be told from the original in photographs.
DEFAULT_QUALITY = 92


class SwapImage:
    """The use case `swap_image`, on an engine with its models loaded."""

    def __init__(self, engine: FaceSwapEngine, loader: IdentityLoader, limits: MediaLimits) -> None:
        self._engine = engine
        self._loader = loader
        self._limits = limits

    def __call__(self, context: JobContext) -> Outcome:
        """Return the swapped image, in the input's format unless the options name one.

        Raises:
            JobFailure: `undecodable`, `unsupported_media_type`, `media_too_large`,
            `face_not_found`, `identity_erased`, `sexual_content`, `apparent_minor`,
            `identity_blocked`, `identity_review`. Canceled, Superseded
        """
        payload = context.job.payload
        timings = dict[str, float]()

        with timed(timings, "decode_ms"):
            image = decode_image(context.input, self._limits)

        context.progress(0, 1, "image")
        with timed(timings, "identities_ms"):
            assignments = self._loader.assignments(payload, context.identities)

        with timed(timings, "detect_ms"):
            # Looking for small faces takes most of the time, and they are no candidates then.
            largest_only = all(one.face == "largest" for one in payload.assignments)
            found = self._engine.detect(image.bgr, largest_only=largest_only)
            examiner = TargetExaminer(self._engine)
            examiner.look(ImageFrame(image.bgr), list(enumerate(found)))
            # Before a face is swapped: what is refused must not be made.
            examiner.require_allowed()

        with timed(timings, "swap_ms"):
            # The report says how much of the identity came through; it costs one pass of the
            # encoder.
            options = swap_options(payload.options, measure_similarity=True)
            swapped = self._engine.swap_found(image.bgr, found, assignments, options)

        if context.is_screened:
            with timed(timings, "screen_ms"):
                # Only whose face was replaced: bystanders are nobody's business.
                views = self._swapped_people(image.bgr, found, swapped)
                require_nobody_blocked(context, assignments, views)

        report = self._report(payload, swapped, image.notes)

        output = payload.options.output
        followed = WRITTEN_FOR.get(image.format, image.format)
        file_format = output.format or (followed if followed in IMAGE_FORMATS else "png")

        with timed(timings, "encode_ms"):
            alpha = None if image.alpha is None else fit_within(image.alpha, output.max_side)
            shown = fit_within(swapped.frame, output.max_side)

            # Last, on the final pixels: scaling would blur the mark.
            if context.marking is not None:
                context.marking.mark_image(shown)

            quality = output.quality or DEFAULT_QUALITY
            body = encode_image(
                shown,
                alpha,
                file_format=file_format,
                quality=quality,
                icc_profile=image.icc_profile,
            )

        file = context.work / f"image.{file_format}"

        with noticing_full_disk():
            file.write_bytes(body)

        height, width = shown.shape[:2]
        return Outcome(
            file=file,
            media_type=MEDIA_TYPES[file_format],
            suffix=f".{file_format}",
            width=width,
            height=height,
            frames=1,
            report=report,
            timings=timings,
        )

    def _swapped_people(
        self, image: BgrImage, found: Sequence[MeshedFace], swapped: SwapOutcome
    ) -> list[Embedding]:
        """Return who the people were whose faces were replaced in an image."""
        frame = ImageFrame(image)
        return [
            self._engine.encoder.recognise(frame, face.landmarks)
            for face, report in zip(found, swapped.faces, strict=True)
            if report.swapped
        ]

    def _report(
        self, payload: JobPayload, swapped: SwapOutcome, notes: Sequence[str]
    ) -> dict[str, Any]:
        """Return the job's report. Raises JobFailure when nobody was swapped, or not well enough
        for the job.
        """
        faces = [face_row(face) for face in swapped.faces]
        outcomes = assignment_outcomes(payload, faces, swapped.unmatched)
        report = {
            "faces": faces,
            "quality": video_quality(faces),
            "notes": list(notes),
            **outcome_report(outcomes),
        }

        require_somebody(payload, outcomes, report)
        require_quality(faces, payload.options.min_quality)
        return report


def face_row(face: FaceReport) -> dict[str, Any]:
    """Return what the job's report says of a face: as of a person in a video of one frame, and its
    box (x, y, width, height in pixels of the upright image), turn and eye distance.
    """
    left, top, right, bottom = face.box
    return {
        "person_id": face.person_id,
        "identity_id": face.identity_key.partition(":")[0] if face.identity_key else None,
        "assignment": face.assignment,
        "box": [round(value, 1) for value in (left, top, right - left, bottom - top)],
        "yaw_deg": round(face.yaw_deg, 1),
        "eye_px": round(face.eye_px, 1),
        "frames_seen": 1,
        "frames_swapped": int(face.swapped),
        "frames_skipped": {face.reason: 1} if face.reason else {},
        "identity_similarity": face.identity_similarity,
        "jitter_px": 0.0,
    }


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the block's wall time in milliseconds to `timings`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - began) * 1e3
