"""The faces of one frame of a video on their way to being swapped.

Each is steadied, decided about and faded in or out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.inference.arrays import Landmarks
from models.inference.finding.eyes.eye_looks import EyeLooks, EyeSight
from models.inference.finding.eyes.eye_motion import EyeMotion, MovingEyes
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.landmark_filter import LandmarkFilter
from models.inference.finding.tracks import TrackedFace
from models.inference.finding.visibility import Fade, skip_reason
from models.inference.frames.frame import Frame
from models.inference.options import FaceReport, SkipReason, SwapOptions
from models.inference.painting.occlusion_memory import OcclusionMemory
from models.inference.swapping.held_frames import HeldFrame
from models.inference.swapping.selection import Assignment, Candidate, Selection
from models.inference.texture.resting_face import RestingFace


@dataclass
class Followed:
    """What is kept about one face of a person between frames."""

    steady: LandmarkFilter
    fade: Fade = field(default_factory=Fade)
    memory: OcclusionMemory = field(default_factory=OcclusionMemory)
    eyes: EyeMotion = field(default_factory=EyeMotion)
    looks: EyeLooks = field(default_factory=EyeLooks)
    resting: RestingFace = field(default_factory=RestingFace)
    shot: int = -1  # none yet: whichever shot comes first begins afresh

    def begin_frame(self, shot: int, *, is_new: bool) -> None:
        """Forget what does not hold for a new track or a new shot."""
        # A face that was lost may be anywhere by now: nothing known of its motion holds.
        if is_new:
            self.steady.reset()
            self.eyes.reset()
            self.looks.reset()
            self.resting.reset()

        # Across a cut, what covers a face and how far it has faded in are another scene's.
        if self.shot != shot:
            self.memory.reset()
            self.fade.reset()
            self.looks.reset()
            self.resting.measures.reset()

        self.shot = shot


@dataclass(frozen=True)
class Subject:
    """One face of a frame, with what became of it; an `assignment` for those chosen."""

    tracked: TrackedFace
    landmarks: Landmarks
    followed: Followed
    eyes: MovingEyes | None
    report: FaceReport
    assignment: Assignment | None


@dataclass
class SequenceSubjects:
    """Makes the subjects of each frame, and keeps what is known of their faces in between."""

    selection: Selection
    iris: IrisNetwork | None
    _followed: dict[tuple[str, int], Followed] = field(default_factory=dict, init=False)

    def of(
        self, held: HeldFrame, following: HeldFrame | None, options: SwapOptions
    ) -> list[Subject]:
        """Return the faces of a frame, left to right. To be asked once a frame, in order.

        `following` is the next frame, if it has been looked at already. `options` hold for this
        frame; the smoothing of a face is settled when it is first seen.
        """
        faces = sorted(held.faces, key=lambda one: one.face.box[0])
        chosen = self.selection.choose([_candidate(one) for one in faces])
        return [self._subject(held, following, one, chosen, options) for one in faces]

    def _subject(
        self,
        held: HeldFrame,
        following: HeldFrame | None,
        tracked: TrackedFace,
        chosen: dict[str, Assignment],
        options: SwapOptions,
    ) -> Subject:
        followed = self._follow(tracked, options)
        followed.begin_frame(held.shot, is_new=tracked.is_new)

        after = _sight_of(tracked, following, held.shot)
        landmarks = followed.steady.apply(tracked.face.landmarks, held.time_s, after)
        assignment, reason = _decide(held.frame, tracked, chosen, options)

        if reason == "not_sure":
            followed.fade.reset()  # nothing of it may show on someone else

        shown = assignment is not None and reason is None
        opacity = followed.fade.step(held.time_s, shown=shown) if assignment else 0.0
        eyes = None
        if shown and _draws_eyes(assignment):
            eyes = self._eyes(held, after, tracked, followed, landmarks)

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
        return Subject(
            tracked=tracked,
            landmarks=landmarks,
            followed=followed,
            eyes=eyes,
            report=report,
            assignment=assignment,
        )

    def _eyes(
        self,
        held: HeldFrame,
        after: EyeSight | None,
        tracked: TrackedFace,
        followed: Followed,
        landmarks: Landmarks,
    ) -> MovingEyes | None:
        """Return a face's eyes as the iris network sees them, or None in a pack without one."""
        if self.iris is None:
            return None

        now = EyeSight(tracked.face.landmarks, held.time_s, held.frame)
        seen = followed.looks.see(self.iris, now, after)
        return followed.eyes.see(seen, now.landmarks, landmarks, held.time_s)

    def _follow(self, tracked: TrackedFace, options: SwapOptions) -> Followed:
        # A mirror shows a person twice in one frame: each copy moves by itself.
        key = (tracked.person_id, tracked.copy)
        if key not in self._followed:
            self._followed[key] = Followed(LandmarkFilter(options.smoothing))

        return self._followed[key]


def _sight_of(tracked: TrackedFace, frame: HeldFrame | None, shot: int) -> EyeSight | None:
    """Return the same face in another frame of the shot, if it is there."""
    if frame is None or not frame.is_seen or frame.shot != shot:
        return None

    for other in frame.faces:
        if other.track is tracked.track and not other.is_new:
            return EyeSight(other.face.landmarks, frame.time_s, frame.frame)

    return None


def _candidate(tracked: TrackedFace) -> Candidate:
    face = tracked.face
    return Candidate(
        person_id=tracked.person_id,
        box=face.box,
        eye_px=face.eye_px,
        embedding=lambda: tracked.track.person.embedding,
        human=tracked.track.human,
    )


def _decide(
    frame: Frame, tracked: TrackedFace, chosen: dict[str, Assignment], options: SwapOptions
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

    return either, skip_reason(tracked.face, frame, options)


def _draws_eyes(assignment: Assignment | None) -> bool:
    return assignment is not None and assignment.identity.eyes is not None
