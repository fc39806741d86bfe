"""A video, frame by frame: who is where, who becomes whom, steadied and faded in time, written in
place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

from models.inference.arrays import Embedding, Landmarks
from models.inference.finding.face_tracker import FaceTracker, TrackedFace
from models.inference.finding.identity_encoder import likeness
from models.inference.finding.landmark_filter import LandmarkFilter
from models.inference.finding.visibility import Fade, skip_reason
from models.inference.frames.frame import Frame
from models.inference.options import FaceReport, FrameReport, SequenceReport, SwapOptions
from models.inference.painting.face_painter import FacePainter, Identity, PaintedFace
from models.inference.painting.occlusion import OcclusionMemory
from models.inference.selection import Candidate, Selection
from models.inference.sequence_report import PersonRecord

SIMILARITY_EVERY_S = 1.0


@dataclass
class _Followed:
    """What is kept about one person between frames."""

    steady: LandmarkFilter
    record: PersonRecord
    fade: Fade = field(default_factory=Fade)
    memory: OcclusionMemory = field(default_factory=OcclusionMemory)
    shot: int = -1
    similarity_due_s: float = 0.0


@dataclass(frozen=True)
class _Subject:
    """One face of the current frame on its way to being swapped."""

    tracked: TrackedFace
    landmarks: Landmarks
    followed: _Followed
    report: FaceReport
    identity: Identity | None


@dataclass
class SequenceSwapper:
    """Swaps the frames of one video in order; get one from `FaceSwapEngine.sequence`."""

    tracker: FaceTracker
    painter: FacePainter
    selection: Selection
    options: SwapOptions
    frames: int = field(default=0, init=False)
    _people: dict[str, _Followed] = field(default_factory=dict, init=False)

    def swap(self, frame: Frame, time_s: float) -> FrameReport:
        """Swap the next frame in place; only the faces' regions are written."""
        started = perf_counter()
        subjects = self._look(frame, time_s)
        found = perf_counter()
        painted = [
            (subject, self._paint(frame, subject)) for subject in subjects if subject.report.swapped
        ]
        swapped = perf_counter()
        for _, crop in painted:
            frame.paste(crop.face, crop.mask, crop.to_crop)
        blended = perf_counter()
        for subject, _ in painted:
            self._measure_similarity(frame, subject, time_s)
        self._count(subjects, time_s)
        ms = [(b - a) * 1e3 for a, b in ((started, found), (found, swapped), (swapped, blended))]
        return FrameReport(tuple(subject.report for subject in subjects), *ms)

    def warm_up(self, frame: Frame, time_s: float) -> None:
        """See a frame that is not output, so that tracks and filters have settled when a segment
        begins.
        """
        self._look(frame, time_s)

    def report(self) -> SequenceReport:
        """What was done so far, person by person in order of appearance."""
        return SequenceReport(
            people=tuple(
                followed.record.report()
                for followed in self._people.values()
                if followed.record.seen
            ),
            frames=self.frames,
            cuts=max(0, self.tracker.shot - 1),
            detections=self.tracker.detections,
            recognition_passes=self.tracker.gallery.recognition_passes,
        )

    def people(self) -> dict[str, Embedding]:
        """Everyone seen so far by `person_id`, for a sequence that goes on elsewhere."""
        gallery = self.tracker.gallery
        return {person.person_id: gallery.embedding(person) for person in gallery.people()}

    def _look(self, frame: Frame, time_s: float) -> list[_Subject]:
        tracked = self.tracker.update(frame)
        identities = self.selection.choose([self._candidate(one) for one in tracked])
        return [self._subject(frame, time_s, one, identities.get(one.person_id)) for one in tracked]

    def _candidate(self, tracked: TrackedFace) -> Candidate:
        gallery = self.tracker.gallery
        person = gallery.person(tracked.person_id)
        face = tracked.face
        return Candidate(
            tracked.person_id, face.box, face.eye_px, lambda: gallery.embedding(person)
        )

    def _subject(
        self, frame: Frame, time_s: float, tracked: TrackedFace, identity: Identity | None
    ) -> _Subject:
        followed = self._followed(tracked.person_id)
        if tracked.is_new:
            followed.steady.reset()
        if followed.shot != self.tracker.shot:
            followed.memory.reset()
        landmarks = followed.steady.apply(tracked.face.landmarks, time_s)
        reason = (
            "not_selected" if identity is None else skip_reason(tracked.face, frame, self.options)
        )
        # A face that is there when a shot begins is swapped at once; one that comes into view fades
        # in.
        if self.tracker.shot_just_began:
            followed.fade.jump(time_s, shown=reason is None)
        followed.shot = self.tracker.shot
        opacity = followed.fade.step(time_s, shown=reason is None) if identity else 0.0
        face, key = tracked.face, identity.key if identity else None
        report = FaceReport(
            tracked.person_id, face.box, face.eye_px, face.yaw_deg, face.score, opacity, key, reason
        )
        return _Subject(tracked, landmarks, followed, report, identity)

    def _followed(self, person_id: str) -> _Followed:
        if person_id not in self._people:
            record = PersonRecord(person_id, self.painter.fit)
            self._people[person_id] = _Followed(LandmarkFilter(self.options.smoothing), record)
        return self._people[person_id]

    def _paint(self, frame: Frame, subject: _Subject) -> PaintedFace:
        assert subject.identity is not None  # noqa: S101  only swapped faces are painted
        opacity, memory = subject.report.opacity, subject.followed.memory
        return self.painter.paint(
            frame, subject.landmarks, subject.identity, self.options, opacity, memory
        )

    def _measure_similarity(self, frame: Frame, subject: _Subject, time_s: float) -> None:
        due = subject.report.opacity == 1 and time_s >= subject.followed.similarity_due_s
        if not (self.options.measure_similarity and due and subject.identity):
            return
        subject.followed.similarity_due_s = time_s + SIMILARITY_EVERY_S
        now = self.tracker.gallery.look(frame, subject.tracked.face)
        subject.followed.record.similarities.append(likeness(now, subject.identity.code.embedding))

    def _count(self, subjects: list[_Subject], time_s: float) -> None:
        self.frames += 1
        for subject in subjects:
            record = subject.followed.record
            record.add(subject.report, subject.landmarks, time_s, is_new=subject.tracked.is_new)
