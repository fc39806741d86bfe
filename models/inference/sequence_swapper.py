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

from models.inference.arrays import Embedding, Landmarks
from models.inference.finding.eye_motion import EyeMotion, MovingEyes
from models.inference.finding.face_detector import overlap
from models.inference.finding.face_finder import SAME_FACE
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.identity_encoder import likeness
from models.inference.finding.iris_network import IrisNetwork
from models.inference.finding.landmark_filter import LandmarkFilter
from models.inference.finding.tracks import TrackedFace
from models.inference.finding.visibility import Fade, skip_reason
from models.inference.frames.frame import Frame
from models.inference.options import (
    FaceReport,
    FrameReport,
    SequenceReport,
    SkipReason,
    SwapOptions,
)
from models.inference.painting.face_painter import FacePainter, PaintedFace
from models.inference.painting.occlusion import OcclusionMemory
from models.inference.selection import Assignment, Candidate, Selection
from models.inference.sequence_report import PersonRecord
from models.inference.texture.resting_face import RestingFace

SIMILARITY_EVERY_S = 1.0
LOOK_BACK_S = 0.6  # more than a sweep for small faces takes, and five looks at a doubtful face
LOOK_BACK_BYTES = 64 * 2**20  # of held frames: 21 frames of 1080p, 5 of 2160p


@dataclass
class _Followed:
    """What is kept about one face of a person between frames."""

    steady: LandmarkFilter
    fade: Fade = field(default_factory=Fade)
    memory: OcclusionMemory = field(default_factory=OcclusionMemory)
    eyes: EyeMotion = field(default_factory=EyeMotion)
    resting: RestingFace = field(default_factory=RestingFace)
    shot: int = -1


@dataclass
class _Held:
    """A frame that has been looked at and not yet written."""

    frame: Frame
    time_s: float
    is_shown: bool
    shot: int
    began_shot: bool
    faces: list[TrackedFace]
    detect_ms: float


@dataclass(frozen=True)
class _Subject:
    """One face of the current frame on its way to being swapped."""

    tracked: TrackedFace
    landmarks: Landmarks
    followed: _Followed
    eyes: MovingEyes | None
    report: FaceReport
    assignment: Assignment | None


@dataclass
class SequenceSwapper:
    """Swaps the frames of one video in order; get one from `FaceSwapEngine.sequence`."""

    tracker: FaceTracker
    painter: FacePainter
    selection: Selection
    options: SwapOptions
    iris: IrisNetwork | None = None
    frames: int = field(default=0, init=False)
    _people: dict[tuple[str, int], _Followed] = field(default_factory=dict, init=False)
    _records: dict[str, PersonRecord] = field(default_factory=dict, init=False)
    _similarity_due_s: dict[str, float] = field(default_factory=dict, init=False)
    _held: deque[_Held] = field(default_factory=deque, init=False)

    def take(self, frame: Frame, time_s: float, *, is_shown: bool = True) -> list[FrameReport]:
        """Look at the next frame, and write those in place that need not be held any longer.

        Returns a report for each frame written, oldest first; the caller keeps the frames. One
        that is not shown only settles tracks and filters, and has no report.
        """
        started = perf_counter()
        faces = self.tracker.update(frame, time_s)
        held = _Held(
            frame=frame,
            time_s=time_s,
            is_shown=is_shown,
            shot=self.tracker.shot,
            began_shot=self.tracker.shot_just_began,
            faces=faces,
            detect_ms=0.0,
        )

        if not held.began_shot:
            self._look_back([one for one in faces if one.is_new])

        held.detect_ms = (perf_counter() - started) * 1e3
        self._held.append(held)
        return self._write_until(time_s - LOOK_BACK_S, self._most_held(frame))

    def finish(self) -> list[FrameReport]:
        """Write the frames that are still held; returns their reports, oldest first."""
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
        """What was done so far, person by person in order of appearance."""
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

    def _look_back(self, newcomers: Sequence[TrackedFace]) -> None:
        """Follow those who were just found back through the held frames of this shot."""
        for newcomer in newcomers:
            later = newcomer
            for held in reversed(self._held):
                if held.shot != self.tracker.shot:
                    break

                earlier = self.tracker.look_back(held.frame, held.time_s, later)
                if earlier is None or _is_known(earlier, held.faces):
                    break

                held.faces.append(earlier)
                later = earlier

    def _write_until(self, time_s: float, most_held: int) -> list[FrameReport]:
        reports = []
        while self._held and (self._held[0].time_s <= time_s or len(self._held) > most_held):
            held = self._held.popleft()
            report = self._write(held)

            if held.is_shown:
                reports.append(report)

        return reports

    def _most_held(self, frame: Frame) -> int:
        return max(1, LOOK_BACK_BYTES // (frame.width * frame.height * 3 // 2))

    def _write(self, held: _Held) -> FrameReport:
        started = perf_counter()
        subjects = self._subjects(held)

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

    def _subjects(self, held: _Held) -> list[_Subject]:
        faces = sorted(held.faces, key=lambda one: one.face.box[0])
        chosen = self.selection.choose([self._candidate(one) for one in faces])
        return [self._subject(held, one, chosen) for one in faces]

    def _candidate(self, tracked: TrackedFace) -> Candidate:
        face = tracked.face
        return Candidate(
            person_id=tracked.person_id,
            box=face.box,
            eye_px=face.eye_px,
            embedding=lambda: tracked.track.person.embedding,
            human=tracked.track.human,
        )

    def _subject(
        self, held: _Held, tracked: TrackedFace, chosen: dict[str, Assignment]
    ) -> _Subject:
        followed = self._followed(tracked)
        if tracked.is_new:
            followed.steady.reset()
            followed.eyes.reset()
            followed.resting.reset()

        if followed.shot != held.shot:
            followed.memory.reset()
            followed.fade.reset()

        followed.shot = held.shot

        landmarks = followed.steady.apply(tracked.face.landmarks, held.time_s)
        assignment, reason = self._decide(held.frame, tracked, chosen)

        if reason == "not_sure":
            followed.fade.reset()  # nothing of it may show on someone else

        shown = assignment is not None and reason is None
        opacity = followed.fade.step(held.time_s, shown=shown) if assignment else 0.0
        face = tracked.face
        report = FaceReport(
            person_id=tracked.person_id,
            box=face.box,
            eye_px=face.eye_px,
            yaw_deg=face.yaw_deg,
            score=face.score,
            opacity=0.0 if reason == "not_sure" else opacity,
            identity_key=assignment.identity.key if assignment else None,
            reason=reason,
            assignment=assignment.number if assignment else None,
            human=tracked.track.human,
        )

        eyes = self._eyes(held, tracked, landmarks, assignment) if shown else None
        return _Subject(tracked, landmarks, followed, eyes, report, assignment)

    def _eyes(
        self, held: _Held, tracked: TrackedFace, landmarks: Landmarks, assignment: Assignment | None
    ) -> MovingEyes | None:
        """Return a face's eyes for an identity whose irises are drawn, else None."""
        if self.iris is None or assignment is None or assignment.identity.eyes is None:
            return None

        own = tracked.face.landmarks
        seen = self.iris.look(held.frame, own)
        return self._followed(tracked).eyes.see(seen, own, landmarks, held.time_s)

    def _check_eyes(self, frame: Frame, subject: _Subject) -> None:
        """Look at the eyes that were painted, now and then, for later frames to be truer."""
        motion = subject.followed.eyes
        if self.iris is not None and subject.eyes is not None and motion.is_check_due:
            motion.check(self.iris.look(frame, subject.landmarks))

    def _decide(
        self, frame: Frame, tracked: TrackedFace, chosen: dict[str, Assignment]
    ) -> tuple[Assignment | None, SkipReason | None]:
        """Return who a face is to become, and why it is left alone nevertheless, if it is."""
        assignment = chosen.get(tracked.person_id)
        other = chosen.get(tracked.resembles or "")
        either = assignment or other

        if either is None:
            return None, "not_selected"

        # Where everybody becomes the same, it does not matter who somebody is.
        is_anybody = either.selector.kind == "all" and other in (None, assignment)
        is_doubtful = not tracked.is_sure or other is not None

        if is_doubtful and not is_anybody:
            return either, "not_sure"

        return either, skip_reason(tracked.face, frame, self.options)

    def _followed(self, tracked: TrackedFace) -> _Followed:
        key = tracked.person_id, tracked.copy
        if key not in self._people:
            self._people[key] = _Followed(LandmarkFilter(self.options.smoothing))
        return self._people[key]

    def _paint(self, frame: Frame, subject: _Subject) -> PaintedFace:
        assert subject.assignment is not None  # noqa: S101  only swapped faces are painted
        return self.painter.paint(
            frame,
            subject.landmarks,
            subject.assignment.identity,
            self.options,
            subject.report.opacity,
            subject.followed.memory,
            subject.eyes,
            subject.followed.resting,
        )

    def _measure_similarity(self, frame: Frame, subject: _Subject, time_s: float) -> None:
        person_id = subject.report.person_id
        is_due = time_s >= self._similarity_due_s.get(person_id, 0.0)

        if not (self.options.measure_similarity and is_due and subject.report.opacity == 1):
            return

        assert subject.assignment is not None  # noqa: S101  only swapped faces are measured
        self._similarity_due_s[person_id] = time_s + SIMILARITY_EVERY_S
        now = self.tracker.gallery.look(frame, subject.tracked.face.landmarks)
        wanted = subject.assignment.identity.code.embedding
        self._records[person_id].similarities.append(likeness(now, wanted))

    def _count(self, subjects: Sequence[_Subject], time_s: float) -> None:
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


def _is_known(face: TrackedFace, others: Sequence[TrackedFace]) -> bool:
    return any(overlap(face.face.box, other.face.box) > SAME_FACE for other in others)
