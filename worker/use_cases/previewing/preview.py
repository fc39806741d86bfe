"""Use case: how would a swap look? Three frames of the target, or the image, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from models.inference.arrays import BgrImage, Embedding
from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceReport, FaceSelector
from models.inference.swapping.image_swapper import SwapOutcome
from models.inference.swapping.selection import Assignment
from worker.formats import MEDIA_TYPES
from worker.job_context import JobContext, Outcome
from worker.media.images import encode_image, fit_within
from worker.settings import MediaLimits
from worker.stores.blobs.durable_files import noticing_full_disk
from worker.use_cases.identity_loader import IdentityLoader, swap_options
from worker.use_cases.outcomes import assignment_outcomes, outcome_report
from worker.use_cases.previewing.first_look import FirstLook, Looked
from worker.use_cases.screening import require_nobody_blocked
from worker.use_cases.swap_image import face_row, timed
from worker.video.surveys.survey import Survey

DEFAULT_SIDE_PX: Final = 640  # of one frame: three of them fit a page, and a phone's screen
# Small enough for a page, and what a preview shows is not delivered.
QUALITY: Final = 88


@dataclass
class Preview:
    """Carries out `preview` jobs on one engine."""

    engine: FaceSwapEngine
    loader: IdentityLoader
    limits: MediaLimits

    def __call__(self, context: JobContext) -> Outcome:
        """Return one JPEG with the swapped frames from left to right; the report says where each
        one is and what became of the people in it.

        Raises JobFailure, also as MediaError.
        """
        payload = context.job.payload
        timings = dict[str, float]()

        with timed(timings, "identities_ms"):
            assignments = self.loader.assignments(payload, context.identities)

        with timed(timings, "detect_ms"):
            seen = FirstLook(self.engine, self.limits).look(context, assignments)
            # Before a face is swapped, as for a result.
            seen.examiner.require_allowed()

        with timed(timings, "swap_ms"):
            options = swap_options(payload.options, measure_similarity=True)
            # Scaled after the swap: small faces would be lost before.
            side = payload.options.output.max_side or DEFAULT_SIDE_PX
            frames: list[BgrImage] = []
            rows: list[dict[str, Any]] = []
            replaced: list[Embedding] = []

            for looked in seen.frames:
                context.progress(len(frames), len(seen.frames), "image")
                chosen = _chosen(looked, seen.survey, assignments)
                swapped = self.engine.swap_found(looked.bgr, looked.faces, chosen, options)
                frames.append(fit_within(swapped.frame, side))
                rows += _rows(swapped.faces, looked.names)
                replaced += self._replaced(looked, swapped)

            # Without a survey there is one frame, so that the last one's is the target's.
            unmatched = seen.survey.unmatched if seen.survey else swapped.unmatched

        # After the swap, because only then it is known whose face was replaced; nothing is
        # delivered yet.
        if context.is_screened:
            require_nobody_blocked(context, assignments, replaced)

        strip, places = _side_by_side(frames)
        if context.marking is not None:
            # The whole strip: a preview is a result, and a frame that is cut out still carries the
            # mark.
            context.marking.mark_image(strip)

        with timed(timings, "encode_ms"), noticing_full_disk():
            file = context.work / "preview.jpg"
            file.write_bytes(encode_image(strip, quality=QUALITY))

        context.progress(len(frames), len(frames), "image", last=True)
        people = _by_person(rows)
        outcomes = assignment_outcomes(payload, people, unmatched)
        times = [looked.time_s for looked in seen.frames]
        report = {
            "faces": people,
            "shown": [
                {"time_s": round(time_s, 3), "box": box}
                for time_s, box in zip(times, places, strict=True)
            ],
            "notes": [],
            **outcome_report(outcomes),
        }
        height, width = strip.shape[:2]
        return Outcome(
            file=file,
            media_type=MEDIA_TYPES["jpeg"],
            suffix=".jpg",
            width=width,
            height=height,
            frames=len(frames),
            report=report,
            timings=timings,
        )

    def _replaced(self, looked: Looked, swapped: SwapOutcome) -> list[Embedding]:
        """Return who the people were whose faces were replaced in a frame."""
        frame = ImageFrame(looked.bgr)
        return [
            self.engine.encoder.recognise(frame, face.landmarks)
            for face, report in zip(looked.faces, swapped.faces, strict=True)
            if report.swapped
        ]


def _chosen(
    looked: Looked, survey: Survey | None, assignments: Sequence[Assignment]
) -> Sequence[Assignment]:
    """Return the assignments of one frame's faces, by their place in it."""
    if survey is None:
        return assignments

    choices = survey.choices
    return [
        replace(
            assignments[choices[name]],
            # In a single image people are named by their place.
            selector=FaceSelector("person", person_id=f"p{index + 1}"),
        )
        for index, name in enumerate(looked.names)
        if name in choices
    ]


def _rows(faces: Sequence[FaceReport], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{**face_row(face), "person_id": name} for face, name in zip(faces, names, strict=True)]


def _by_person(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each person: counts added up, measures of the last frame."""
    people: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = people.get(row["person_id"])
        if known is None:
            people[row["person_id"]] = dict(row)
            continue

        # A copy: the row belongs to another frame's report.
        skipped = dict(known["frames_skipped"])
        for reason, count in row["frames_skipped"].items():
            skipped[reason] = skipped.get(reason, 0) + count

        added = {name: known[name] + row[name] for name in ("frames_seen", "frames_swapped")}
        people[row["person_id"]] = {**row, **added, "frames_skipped": skipped}

    return list(people.values())


def _side_by_side(frames: Sequence[BgrImage]) -> tuple[BgrImage, list[list[int]]]:
    """Return the frames in one image, and the box of each: x, y, width, height in its pixels."""
    height = max(frame.shape[0] for frame in frames)
    strip = np.zeros((height, sum(frame.shape[1] for frame in frames), 3), np.uint8)
    boxes: list[list[int]] = []
    left = 0

    for frame in frames:
        rows, columns = frame.shape[:2]
        strip[:rows, left : left + columns] = frame
        boxes.append([left, 0, columns, rows])
        left += columns

    return strip, boxes
