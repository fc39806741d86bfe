"""A video, frame by frame: who is where, who becomes whom, steadied and faded in time, written in
place.

Which frames are held back, and for how long, is in `held_frames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import perf_counter

from models.inference.arrays import Embedding
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.frames.frame import Frame
from models.inference.options import (
    FrameReport,
    SequenceReport,
    SwapOptions,
)
from models.inference.painting.face_painter import FacePainter, PaintedFace
from models.inference.swapping.held_frames import HeldFrame, HeldFrames
from models.inference.swapping.selection import Selection
from models.inference.swapping.sequence_report import PersonRecord
from models.inference.swapping.sequence_subjects import SequenceSubjects, Subject

SIMILARITY_EVERY_S = 1.0


@dataclass
class SequenceSwapper:
    """Swaps the frames of one video in order; get one from `FaceSwapEngine.sequence`."""

    tracker: FaceTracker
    painter: FacePainter
    selection: Selection
    options: SwapOptions
    iris: IrisNetwork | None = None
    frames: int = field(default=0, init=False)
    _subjects: SequenceSubjects = field(init=False)
    _records: dict[str, PersonRecord] = field(default_factory=dict, init=False)
    _similarity_due_s: dict[str, float] = field(default_factory=dict, init=False)
    _held: HeldFrames = field(init=False)

    def __post_init__(self) -> None:
        self._held = HeldFrames(self.tracker)
        self._subjects = SequenceSubjects(self.selection, self.iris)

    def take(self, frame: Frame, time_s: float, *, is_shown: bool = True) -> list[FrameReport]:
        """Look at the next frame, and write those in place that need not be held any longer.

        Returns a report for each frame written, oldest first; the caller keeps the frames. One
        that is not shown only settles tracks and filters, and has no report.
        """
        self._held.take(frame, time_s, is_shown=is_shown)
        return self._written(self._held.due(time_s))

    def finish(self) -> list[FrameReport]:
        """Write the frames that are still held; returns their reports, oldest first."""
        return self._written(self._held.rest())

    def swap(self, frame: Frame, time_s: float) -> FrameReport:
        """Swap the next frame in place at once, without the time to look back."""
        return [*self.take(frame, time_s), *self.finish()][-1]

    def warm_up(self, frame: Frame, time_s: float) -> None:
        """See a frame that is not output, so that tracks and filters have settled when a segment
        begins.
        """
        self.take(frame, time_s, is_shown=False)

    def report(self) -> SequenceReport:
        """Return what was done so far, person by person in order of appearance."""
        return SequenceReport(
            people=tuple(record.report() for record in self._records.values() if record.seen),
            frames=self.frames,
            cuts=max(0, self.tracker.shot - 1),
            detections=self.tracker.detections,
            recognition_passes=self.tracker.gallery.recognition_passes,
        )

    def people(self) -> dict[str, Embedding]:
        """Everyone seen so far by `person_id`, for a sequence that goes on elsewhere."""
        return {one.person_id: one.embedding for one in self.tracker.gallery.people()}

    def _written(self, frames: Iterable[HeldFrame]) -> list[FrameReport]:
        reports = [(held.is_shown, self._write(held)) for held in frames]
        return [report for is_shown, report in reports if is_shown]

    def _write(self, held: HeldFrame) -> FrameReport:
        started = perf_counter()
        subjects = self._subjects.of(held, self._held.oldest, self.options)

        if not held.is_shown:
            return FrameReport(faces=(), detect_ms=held.detect_ms, swap_ms=0.0, blend_ms=0.0)

        frame = held.frame
        painted = [
            (subject, self._paint(frame, subject)) for subject in subjects if subject.report.swapped
        ]
        swapped = perf_counter()

        for _, crop in painted:
            frame.paste(crop.face, crop.mask, crop.to_crop)

        blended = perf_counter()
        self._count(subjects, held.time_s)

        for subject, _ in painted:
            self._check_eyes(frame, subject)
            self._measure_similarity(frame, subject, held.time_s)

        return FrameReport(
            faces=tuple(subject.report for subject in subjects),
            detect_ms=held.detect_ms,
            swap_ms=(swapped - started) * 1e3,
            blend_ms=(blended - swapped) * 1e3,
        )

    def _paint(self, frame: Frame, subject: Subject) -> PaintedFace:
        assert subject.assignment is not None  # noqa: S101  only swapped faces are painted
        return self.painter.paint(
            frame,
            subject.landmarks,
            subject.assignment.identity,
            self.options,
            opacity=subject.report.opacity,
            memory=subject.followed.memory,
            eyes=subject.eyes,
            resting=subject.followed.resting,
            unrefined=subject.tracked.face.unrefined,
        )

    def _check_eyes(self, frame: Frame, subject: Subject) -> None:
        """Look at the eyes that were painted, now and then, for later frames to be truer."""
        motion = subject.followed.eyes
        if self.iris is not None and subject.eyes is not None and motion.is_check_due:
            motion.check(self.iris.look(frame, subject.landmarks))

    def _measure_similarity(self, frame: Frame, subject: Subject, time_s: float) -> None:
        person_id = subject.report.person_id
        is_due = time_s >= self._similarity_due_s.get(person_id, 0.0)

        if not (self.options.measure_similarity and is_due and subject.report.opacity == 1):
            return

        assert subject.assignment is not None  # noqa: S101  only swapped faces are measured
        self._similarity_due_s[person_id] = time_s + SIMILARITY_EVERY_S
        now = self.tracker.gallery.look(frame, subject.tracked.face.landmarks)
        wanted = subject.assignment.identity.code.embedding
        self._records[person_id].similarities.append(cosine_similarity(now, wanted))

    def _count(self, subjects: Sequence[Subject], time_s: float) -> None:
        """Count the frame once for each person in it, also where a mirror shows them twice."""
        self.frames += 1
        by_person = sorted(subjects, key=lambda subject: subject.report.person_id)

        for person_id, faces in groupby(by_person, key=lambda one: one.report.person_id):
            # The face that fared worst speaks for the person.
            worst = min(faces, key=lambda subject: subject.report.opacity)
            self._record(person_id).add(
                worst.report, worst.landmarks, time_s, is_new=worst.tracked.is_new
            )

    def _record(self, person_id: str) -> PersonRecord:
        if person_id not in self._records:
            self._records[person_id] = PersonRecord(person_id, self.painter.fit)
        return self._records[person_id]
