"""A video, frame by frame: who is where, who becomes whom, steadied and faded in time, written in
place.

Frames are held back for a moment before they are written: somebody found late is followed back to
their first appearance, and a doubt about who somebody is may be settled before it matters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import perf_counter

from models.inference.arrays import Embedding
from models.inference.finding.detections import overlap
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_finder import SAME_FACE
from models.inference.finding.face_tracker import CHECK_S, MOST_CHECK_S, FaceTracker
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.sparse_tracker import SeenFrame, SparseTracker
from models.inference.finding.tracks import LOOK_KEPT, TrackedFace, difference
from models.inference.frames.frame import Frame
from models.inference.options import (
    FrameReport,
    SequenceReport,
    SwapOptions,
)
from models.inference.painting.face_painter import FacePainter, PaintedFace
from models.inference.swapping.selection import Selection
from models.inference.swapping.sequence_report import PersonRecord
from models.inference.swapping.sequence_subjects import HeldFrame, SequenceSubjects, Subject

SIMILARITY_EVERY_S = 1.0
LOOK_BACK_S = 0.6  # more than a sweep for small faces takes, and five looks at a doubtful face
LOOK_BACK_BYTES = 64 * 2**20  # of held frames: 21 frames of 1080p, 5 of 2160p


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
    _held: deque[HeldFrame] = field(default_factory=deque, init=False)
    _watch: SparseTracker = field(init=False)

    def __post_init__(self) -> None:
        self._watch = SparseTracker(self.tracker)
        self._subjects = SequenceSubjects(self.selection, self.iris)

    def take(self, frame: Frame, time_s: float, *, is_shown: bool = True) -> list[FrameReport]:
        """Look at the next frame, and write those in place that need not be held any longer.

        Returns a report for each frame written, oldest first; the caller keeps the frames. One
        that is not shown only settles tracks and filters, and has no report.
        """
        started = perf_counter()
        self.tracker.check_s = self._check_s(frame, time_s)
        held = HeldFrame(frame, time_s, is_shown)
        self._held.append(held)

        for seen in self._watch.take(frame, time_s):
            self._settle(seen)

        held.detect_ms = (perf_counter() - started) * 1e3
        return self._write_until(time_s - LOOK_BACK_S, self._most_held(frame))

    def finish(self) -> list[FrameReport]:
        """Write the frames that are still held; returns their reports, oldest first."""
        for seen in self._watch.finish():
            self._settle(seen)

        return self._write_until(float("inf"), 0)

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

    def _settle(self, seen: SeenFrame) -> None:
        """Note who is in the oldest held frame of which that was not known."""
        place = next(index for index, held in enumerate(self._held) if not held.is_seen)
        held = self._held[place]
        held.shot = seen.shot
        held.faces = seen.faces
        held.is_seen = True

        if not seen.began_shot:
            for newcomer in (one for one in seen.faces if one.is_new):
                self._look_back(newcomer, place)

    def _look_back(self, newcomer: TrackedFace, place: int) -> None:
        """Follow someone who was just found back through the frames of the shot before that."""
        later = newcomer
        for index in reversed(range(place)):
            held = self._held[index]
            if held.shot != self._held[place].shot:
                break

            earlier = self.tracker.look_back(held.frame, held.time_s, later)
            if earlier is None:
                break

            same, others = _split(held.faces, earlier)
            if same and not _is_settled_by(newcomer, earlier, same):
                break

            held.faces = [*others, earlier]
            later = earlier

    def _write_until(self, time_s: float, most_held: int) -> list[FrameReport]:
        reports = []
        while self._held and self._held[0].is_seen:
            if self._held[0].time_s > time_s and len(self._held) <= most_held:
                break

            held = self._held.popleft()
            report = self._write(held)

            if held.is_shown:
                reports.append(report)

        return reports

    def _check_s(self, frame: Frame, time_s: float) -> float:
        """Return how long to go without a detection: no longer than frames can be held."""
        step_s = time_s - self._held[-1].time_s if self._held else 0.0
        return min(MOST_CHECK_S, max(CHECK_S, self._most_held(frame) * step_s))

    def _most_held(self, frame: Frame) -> int:
        return max(1, LOOK_BACK_BYTES // (frame.width * frame.height * 3 // 2))

    def _write(self, held: HeldFrame) -> FrameReport:
        started = perf_counter()
        following = self._held[0] if self._held else None
        subjects = self._subjects.of(held, following, self.options)

        if not held.is_shown:
            return FrameReport((), held.detect_ms, 0.0, 0.0)

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


def _split(
    faces: Sequence[TrackedFace], one: TrackedFace
) -> tuple[list[TrackedFace], list[TrackedFace]]:
    """Return which of a frame's faces are in the place of one face, and the others."""
    is_same = [overlap(one.face.box, other.face.box) > SAME_FACE for other in faces]
    same = [other for other, here in zip(faces, is_same, strict=True) if here]
    others = [other for other, here in zip(faces, is_same, strict=True) if not here]

    return same, others


def _is_settled_by(
    newcomer: TrackedFace, earlier: TrackedFace, same: Sequence[TrackedFace]
) -> bool:
    """Whether a face of which it was open whose it is looks as the newcomer does that took its
    place.
    """
    is_open = not any(other.is_sure for other in same)
    return is_open and difference(earlier.face.look, newcomer.face.look) < LOOK_KEPT
