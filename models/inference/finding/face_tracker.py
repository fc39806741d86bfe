"""Following faces through a video: the mesh looks where it last saw each one.

Detection and recognition run from time to time, and when something changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from models.inference.arrays import Plane
from models.inference.finding.detections import TurnedSquare, overlap
from models.inference.finding.face_finder import MIN_MESH_SCORE, SAME_FACE, FaceFinder
from models.inference.finding.face_mesh import MeshedFace, RegionOfInterest
from models.inference.finding.people import PeopleGallery
from models.inference.finding.recognition import Recognition
from models.inference.finding.tracks import (
    ASK_EVERY_S,
    LOOK_CHANGED,
    Track,
    TrackedFace,
    difference,
    is_continuous,
    touching,
)
from models.inference.frames.frame import Frame

# Between detections that look for newcomers: a look back through held frames fills the gap, so
# that they may be the further apart the longer frames are held.
CHECK_S = 0.2
MOST_CHECK_S = 0.4
SEARCH_S = 0.1  # the same for a while after someone was lost in this shot
SEARCH_FOR_S = 2.0
# Of the frame, from one to the next: ordinary motion changes 2 %. Somebody who comes or goes at
# once changes more, without a cut, and may be gone before the next look.
JUMP_SHARE = 0.06
JUMP_FOR_S = 0.2
# Small and turned faces are looked for all over the frame within this time, or within the shorter
# one where the survey has seen any: they cost a detection for each tile.
SWEEP_S = 4.0
HUNT_S = 0.5
SURVEY_SWEEP_S = 1.0
LEVELS_CHANGED = 20  # of 255: more than noise and compression
CUT_SHARE = 0.25  # of the frame: ordinary motion changes 2 % from frame to frame


@dataclass
class FaceTracker:
    """People of one video, frame by frame.

    With `ask_every_s` 0 every face is recognised in every frame, as a survey of samples needs it.
    """

    finder: FaceFinder
    gallery: PeopleGallery
    sweep_s: float = SWEEP_S
    ask_every_s: float = ASK_EVERY_S
    check_s: float = CHECK_S
    detections: int = field(default=0, init=False)
    shot: int = field(default=0, init=False)
    shot_just_began: bool = field(default=False, init=False)
    _tracks: list[Track] = field(default_factory=list, init=False)
    _samples: Plane | None = field(default=None, init=False)
    _detected_s: float = field(default=-math.inf, init=False)
    _lost_s: float = field(default=-math.inf, init=False)
    _jumped_s: float = field(default=-math.inf, init=False)
    _swept: float = field(default=0.0, init=False)
    _recognition: Recognition = field(init=False)

    def __post_init__(self) -> None:
        self._recognition = Recognition(self.gallery, self.ask_every_s)

    def update(
        self, frame: Frame, time_s: float, looks: Mapping[int, MeshedFace] | None = None
    ) -> list[TrackedFace]:
        """Return the faces of the next frame, left to right, with unfiltered landmarks.

        `looks` are what `looks` returned of this frame, so that it is not looked at again.
        """
        self.shot_just_began = self._is_cut(frame, time_s)
        if self.shot_just_began:
            self.shot += 1
            self._tracks = []
            self._lost_s = -math.inf
            self._detect(frame, time_s, self.finder.detector.sweep(frame))
        else:
            before = len(self._tracks)
            self._follow(self.looks(frame) if looks is None else looks, time_s)
            self._drop_doubles(time_s)

            if len(self._tracks) < before:
                self._lost_s = time_s
            if self._is_detection_due(time_s):
                self._detect(frame, time_s, self._squares_due(frame, time_s))

        self._recognition.review(frame, time_s, self._tracks)
        self._number_copies()

        for track in self._tracks:
            track.person.box = track.face.box
            track.person.shot = self.shot

        tracks = sorted(self._tracks, key=lambda track: track.face.box[0])
        return [TrackedFace(track, track.face, time_s, track.is_new) for track in tracks]

    def looks(self, frame: Frame) -> dict[int, MeshedFace]:
        """Return what the mesh sees in a frame where everyone was last seen, by `id` of the track;
        nothing changes by it.
        """
        mesh = self.finder.mesh
        return {
            id(track): mesh.look(frame, RegionOfInterest.of_landmarks(track.face.landmarks))
            for track in self._tracks
        }

    def is_settled(self, time_s: float) -> bool:
        """Whether nothing is to be found out at this time: no detection is due, nobody in doubt."""
        return not self._is_detection_due(time_s) and not any(
            track.doubted_from_s is not None or touching(track, self._tracks)
            for track in self._tracks
        )

    def look_back(self, frame: Frame, time_s: float, later: TrackedFace) -> TrackedFace | None:
        """Return a face that was found later as it was in an earlier frame of the same shot."""
        region = RegionOfInterest.of_landmarks(later.face.landmarks)
        face = self.finder.mesh.look(frame, region)
        is_there = face.score >= MIN_MESH_SCORE and is_continuous(later.face, face)

        if not is_there or difference(face.look, later.face.look) > LOOK_CHANGED:
            return None

        return TrackedFace(later.track, face, time_s, is_new=False)

    def _is_cut(self, frame: Frame, time_s: float) -> bool:
        before = self._samples
        self._samples = np.ascontiguousarray(frame.luma_samples())
        if before is None:
            return True

        changed = changed_share(before, self._samples)
        if changed > JUMP_SHARE:
            self._jumped_s = time_s

        return changed > CUT_SHARE

    def _follow(self, looks: Mapping[int, MeshedFace], time_s: float) -> None:
        followed = []
        for track in self._tracks:
            face = looks[id(track)]

            if face.score < MIN_MESH_SCORE or not is_continuous(track.face, face):
                continue
            if difference(face.look, track.face.look) > LOOK_CHANGED:
                track.doubt(time_s)

            track.face = replace(face, human=track.human)
            track.is_new = False

            if track.doubted_from_s is None:
                track.note_look(time_s)

            followed.append(track)

        self._tracks = followed

    def _drop_doubles(self, time_s: float) -> None:
        """Of two tracks that came to follow one face, keep one; who it is will be settled."""
        kept: list[Track] = []
        for track in sorted(self._tracks, key=lambda track: -track.face.score):
            same = [one for one in kept if overlap(track.face.box, one.face.box) > SAME_FACE]
            for other in same:
                other.doubt(time_s)
                track.doubt(time_s)
                other.mixed_with.append(track.person)

            if not same:
                kept.append(track)

        self._tracks = kept

    def _is_detection_due(self, time_s: float) -> bool:
        if self._lost_s == time_s:
            return True
        is_searching = time_s - self._lost_s < SEARCH_FOR_S or time_s - self._jumped_s < JUMP_FOR_S
        # Frame times are rounded: a frame that is slightly early is on time.
        return time_s - self._detected_s > (SEARCH_S if is_searching else self.check_s) - 1e-3

    def _squares_due(self, frame: Frame, time_s: float) -> list[TurnedSquare]:
        """Return the next squares of the sweep, as many as the time since the last look asks."""
        squares = self.finder.detector.sweep(frame)
        elapsed_s = min(time_s - self._detected_s, self.sweep_s)
        first = int(self._swept)
        self._swept += len(squares) * elapsed_s / self.sweep_s

        return [squares[number % len(squares)] for number in range(first, int(self._swept))]

    def _detect(self, frame: Frame, time_s: float, squares: Sequence[TurnedSquare]) -> None:
        self._detected_s = time_s
        self.detections += 1
        known = [track.face for track in self._tracks]

        for face in self.finder.find(frame, squares, known):
            view = self.gallery.look(frame, face.landmarks)
            person = self._recognition.identify(face, view, self._tracks, self.shot)
            track = Track(person, face, view, human=face.human, asked_s=time_s)
            track.asked_look = face.look
            track.confirm(time_s)
            if self.gallery.is_learning(person):
                track.note_view(view)

            self._tracks.append(track)

    def _number_copies(self) -> None:
        """Tell apart the faces of a person who is in the frame more than once, as in a mirror."""
        taken: set[tuple[str, int]] = set()
        for track in sorted(self._tracks, key=lambda track: track.is_new):
            name = track.person.person_id
            if (name, track.copy) in taken:
                track.copy = next(n for n in range(len(self._tracks)) if (name, n) not in taken)

            taken.add((name, track.copy))


def is_cut(before: Plane, after: Plane) -> bool:
    """Whether two frames' `luma_samples` belong to different shots."""
    return changed_share(before, after) > CUT_SHARE


def changed_share(before: Plane, after: Plane) -> float:
    """Return which share of two frames' `luma_samples` differs by more than noise."""
    return float(np.mean(cv2.absdiff(after, before) > LEVELS_CHANGED))
