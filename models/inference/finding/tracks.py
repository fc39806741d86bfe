"""One face followed through a shot, and how sure it is whose face that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.inference.arrays import Embedding, RgbImage
from models.inference.finding.detections import overlap
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.people import CLEARLY_BETTER, OTHER_PERSON, SAME_PERSON, Person

# Mean levels between two looks at one face: below 2 from frame to frame, 47 for another face.
# Two composites under one light differ by 11.
LOOK_CHANGED = 8.0
LOOK_KEPT = 5.0  # up to here a face still looks as it did when the encoder confirmed it
ASK_EVERY_S = 1.0  # who it is, although nothing seems to have changed
ASK_CHANGED_S = 0.2  # the same when the face looks different from when it was last asked about
ASK_DOUBT_S = 0.1
# A face turned further than this from every view it was confirmed in looks less like itself.
NEW_POSE_DEG = 20.0
JUST_AFTER_S = 1e-4  # less than any frame lasts
TOUCHING = 0.1  # overlap of two faces that the mesh may confuse
# A view with this many times the detail says more of a face than the one before: it came into
# focus, into the light or nearer. In a dissolve neither end has twice the other's detail.
CLEARER = 2.0
MAX_STEP = 0.6  # of its size: a face that moved further was not followed but confused
MAX_GROWTH = 1.6


@dataclass(frozen=True)
class Anchor:
    """The best view of a followed face so far.

    The mean of a person's views follows a slow dissolve to another person; this one does not.
    """

    view: Embedding
    yaw_deg: float
    detail: float

    @classmethod
    def of(cls, face: MeshedFace, view: Embedding) -> Anchor:
        """Return the anchor that a view makes; its detail is the mean Laplacian in levels."""
        grey = cv2.cvtColor(face.look, cv2.COLOR_RGB2GRAY)
        detail = float(np.mean(np.abs(cv2.Laplacian(grey, cv2.CV_32F))))
        return cls(view, face.yaw_deg, detail)

    def is_outdone_by(self, other: Anchor) -> bool:
        """Whether another view says more of the face: it is clearer, or more from the front."""
        is_clearer = other.detail > CLEARER * self.detail
        return is_clearer or abs(other.yaw_deg) < abs(self.yaw_deg) - NEW_POSE_DEG

    def contradicts(self, other: Anchor) -> bool:
        """Whether a view that is as good, in the same pose, shows another face."""
        is_as_good = other.detail * CLEARER > self.detail
        is_same_pose = abs(other.yaw_deg - self.yaw_deg) <= NEW_POSE_DEG
        return (
            is_as_good and is_same_pose and cosine_similarity(other.view, self.view) < OTHER_PERSON
        )


@dataclass
class Track:
    """A face followed from frame to frame, and the person it belongs to.

    From `doubted_from_s` on it is not sure that it still is that person; a face of which that is
    not settled is left alone.
    """

    person: Person
    face: MeshedFace
    view: Embedding
    copy: int = 0
    is_new: bool = True
    doubted_from_s: float | None = None
    confirmed_s: float = 0.0
    asked_s: float = 0.0
    kept_s: float = 0.0
    asked_look: RgbImage | None = None
    poses_deg: list[float] = field(default_factory=list)
    mixed_with: list[Person] = field(default_factory=list)
    human: float = 0.0
    looks: int = 1
    anchor: Anchor | None = None
    was_other: bool = False  # when it was last asked about

    def doubt(self, time_s: float) -> None:
        """Note that from `time_s` on it may be someone else."""
        if self.doubted_from_s is None:
            self.doubted_from_s = time_s

    def note_look(self, time_s: float) -> None:
        """Remember until when the face looks as it did when it was last asked about."""
        if self.asked_look is not None and difference(self.asked_look, self.face.look) < LOOK_KEPT:
            self.kept_s = time_s

    @property
    def surely_until_s(self) -> float:
        """Until when it was the person it was last confirmed to be, should it not be any more."""
        return max(self.confirmed_s, self.kept_s) + JUST_AFTER_S

    def confirm(self, time_s: float) -> None:
        """Note that it is the person it was taken for, also while that was in doubt."""
        self.doubted_from_s = None
        self.confirmed_s = time_s
        self.mixed_with = []
        self.was_other = False

        if all(abs(pose - self.face.yaw_deg) > NEW_POSE_DEG / 2 for pose in self.poses_deg):
            self.poses_deg.append(self.face.yaw_deg)

    def is_due(self, time_s: float, ask_every_s: float) -> bool:
        """Whether to ask the encoder again who this is."""
        since_s = time_s - self.asked_s
        if self.doubted_from_s is not None:
            return since_s >= ASK_DOUBT_S or self.asked_s <= self.doubted_from_s
        if since_s >= ASK_CHANGED_S and self._looks_changed():
            return True

        return since_s >= ask_every_s

    def is_confirmed_by(self, view: Embedding) -> bool:
        """Whether a view shows the person whom this track has been following."""
        cosine = cosine_similarity(view, self.person.embedding)
        if self.is_contradicted_by(view):
            return False
        if cosine >= SAME_PERSON:
            return True
        if cosine < OTHER_PERSON:
            return False
        if self.mixed_with:
            others = [cosine_similarity(view, other.embedding) for other in self.mixed_with]
            return cosine >= max(others) + CLEARLY_BETTER

        is_new_pose = all(abs(pose - self.face.yaw_deg) > NEW_POSE_DEG for pose in self.poses_deg)
        return self.doubted_from_s is None and is_new_pose

    def is_contradicted_by(self, view: Embedding) -> bool:
        """Whether a view shows another face than the track's best one, however slowly it came."""
        return self.anchor is not None and self.anchor.contradicts(Anchor.of(self.face, view))

    def note_view(self, view: Embedding) -> None:
        """Keep a confirmed view as the anchor if it says more of the face than the one so far."""
        seen = Anchor.of(self.face, view)
        if self.anchor is None or self.anchor.is_outdone_by(seen):
            self.anchor = seen

    def _looks_changed(self) -> bool:
        return self.asked_look is not None and (
            difference(self.asked_look, self.face.look) > LOOK_CHANGED
        )


@dataclass(frozen=True)
class TrackedFace:
    """A face of one video frame, on its track.

    Whose it is may be settled after the frame was seen: ask when the frame is written.
    """

    track: Track
    face: MeshedFace
    time_s: float
    is_new: bool

    @property
    def person_id(self) -> str:
        return self.track.person.person_id

    @property
    def copy(self) -> int:
        """0, or 1 and more for a second face of the same person in a frame, as in a mirror."""
        return self.track.copy

    @property
    def resembles(self) -> str | None:
        """The person this may be as well; neither is swapped for the other."""
        return self.track.person.resembles

    @property
    def is_sure(self) -> bool:
        """Whether the face is surely that of the person it is taken for."""
        doubted_from_s = self.track.doubted_from_s
        return doubted_from_s is None or self.time_s < doubted_from_s


def is_continuous(before: MeshedFace, after: MeshedFace) -> bool:
    """Whether a face can have moved from one place to the other between two frames."""
    old = np.array(before.box)
    new = np.array(after.box)
    size = max(1.0, float(max(old[2] - old[0], old[3] - old[1])))
    growth = float(max(new[2] - new[0], new[3] - new[1])) / size
    step = float(np.abs((new[:2] + new[2:]) / 2 - (old[:2] + old[2:]) / 2).max()) / size

    return step < MAX_STEP and 1 / MAX_GROWTH < growth < MAX_GROWTH


def difference(a: RgbImage, b: RgbImage) -> float:
    """Return the mean difference in levels of two looks at a face."""
    return float(np.mean(cv2.absdiff(a, b)))


def touching(track: Track, others: Sequence[Track]) -> list[Track]:
    """Return the other tracks whose faces overlap this one's."""
    return [
        other
        for other in others
        if other is not track and overlap(track.face.box, other.face.box) > TOUCHING
    ]
