"""Following faces through a video: the mesh looks where it last saw each one.

Detection runs only when needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.inference.arrays import Plane, RgbImage
from models.inference.finding.face_detector import FaceDetector, overlap
from models.inference.finding.face_mesh import FaceMesh, MeshedFace, RegionOfInterest
from models.inference.finding.people import PeopleGallery, Person
from models.inference.frames.frame import Frame

MIN_MESH_SCORE = 0.5
CHECK_EVERY = 10  # frames between detections that look for newcomers
SEARCH_EVERY = 3  # the same while someone was lost in this shot, not long ago
SEARCH_FRAMES = 60
LEVELS_CHANGED = 20  # of 255: more than noise and compression
CUT_SHARE = 0.25  # of the picture: ordinary motion changes 2 % from frame to frame
# mean levels between two looks at one face; below 2 from frame to frame, 47 for another face
LOOK_CHANGED = 12.0
SAME_FACE = 0.6  # overlap of two tracks that follow one face
TOUCHING = 0.1
MAX_STEP = 0.6  # of its size: a face that moved further was not followed but confused
MAX_GROWTH = 1.6


@dataclass(frozen=True)
class TrackedFace:
    """A face of a video frame and the person it belongs to.

    `is_new` when its track just began or changed hands.
    """

    person_id: str
    face: MeshedFace
    is_new: bool


@dataclass
class _Track:
    person: Person
    face: MeshedFace
    is_new: bool = True
    in_doubt: bool = False


@dataclass
class FaceTracker:
    """People of one video, frame by frame."""

    detector: FaceDetector
    mesh: FaceMesh
    gallery: PeopleGallery
    detections: int = field(default=0, init=False)
    shot: int = field(default=0, init=False)
    shot_just_began: bool = field(default=False, init=False)
    _tracks: list[_Track] = field(default_factory=list, init=False)
    _samples: Plane | None = field(default=None, init=False)
    _frames_since_detection: int = field(default=0, init=False)
    _frames_since_loss: int = field(default=SEARCH_FRAMES, init=False)
    _checks: int = field(default=0, init=False)

    def update(self, frame: Frame) -> list[TrackedFace]:
        """Return the faces of the next frame, left to right, with unfiltered landmarks."""
        self.shot_just_began = self._is_cut(frame)
        if self.shot_just_began:
            self.shot += 1
            self._tracks, self._frames_since_loss = [], SEARCH_FRAMES
            self._detect(frame, range(self.detector.tile_count(frame)))
        else:
            before = len(self._tracks)
            self._follow(frame)
            self._drop_doubles()
            self._frames_since_loss = (
                0 if len(self._tracks) < before else self._frames_since_loss + 1
            )
            if self._is_detection_due():
                self._check(frame)
        self._settle_doubts(frame)
        for track in self._tracks:
            track.person.box, track.person.shot = track.face.box, self.shot
        tracks = sorted(self._tracks, key=lambda track: track.face.box[0])
        return [TrackedFace(track.person.person_id, track.face, track.is_new) for track in tracks]

    def _is_cut(self, frame: Frame) -> bool:
        samples, before = np.ascontiguousarray(frame.luma_samples()), self._samples
        self._samples = samples
        if before is None:
            return True
        changed = cv2.absdiff(samples, before) > LEVELS_CHANGED
        return float(np.mean(changed)) > CUT_SHARE

    def _follow(self, frame: Frame) -> None:
        followed = []
        for track in self._tracks:
            face = self.mesh.look(frame, RegionOfInterest.of_landmarks(track.face.landmarks))
            if face.score < MIN_MESH_SCORE or not _is_continuous(track.face, face):
                continue
            track.in_doubt |= _difference(face.look, track.face.look) > LOOK_CHANGED
            track.face, track.is_new = face, False
            followed.append(track)
        self._tracks = followed

    def _drop_doubles(self) -> None:
        """Of two tracks that came to follow one face, keep one.

        Who it really is will be settled when they part.
        """
        kept: list[_Track] = []
        for track in sorted(self._tracks, key=lambda track: -track.face.score):
            touching = [
                other for other in kept if overlap(track.face.box, other.face.box) > TOUCHING
            ]
            for other in touching:
                other.in_doubt = track.in_doubt = True
            if not any(overlap(track.face.box, other.face.box) > SAME_FACE for other in touching):
                kept.append(track)
        self._tracks = kept

    def _is_detection_due(self) -> bool:
        self._frames_since_detection += 1
        if self._frames_since_loss == 0:
            return True
        is_searching = self._frames_since_loss < SEARCH_FRAMES
        return self._frames_since_detection >= (SEARCH_EVERY if is_searching else CHECK_EVERY)

    def _check(self, frame: Frame) -> None:
        """Look over the frame; and at every third time into one tile: small faces come and go
        slowly.
        """
        self._checks += 1
        self._detect(frame, [self._checks // 3] if self._checks % 3 == 0 else [])

    def _detect(self, frame: Frame, tiles: Sequence[int]) -> None:
        self._frames_since_detection = 0
        self.detections += 1
        faces: list[MeshedFace] = []
        for detection in self.detector.find(frame, tiles):
            known = [track.face for track in self._tracks] + faces
            if any(overlap(detection.box, face.box) > SAME_FACE for face in known):
                continue
            face = self.mesh.settle(frame, detection)
            if face.score >= MIN_MESH_SCORE and not any(
                overlap(face.box, other.box) > SAME_FACE for other in known
            ):
                faces.append(face)
        faces.sort(key=lambda face: face.box[0])
        people = self.gallery.identify(frame, faces, self._absent(), self.shot)
        pairs = zip(people, faces, strict=True)
        self._tracks += [_Track(person, face) for person, face in pairs]

    def _absent(self) -> list[Person]:
        tracked = {track.person.person_id for track in self._tracks}
        return [person for person in self.gallery.people() if person.person_id not in tracked]

    def _settle_doubts(self, frame: Frame) -> None:
        """Ask the encoder about tracks that may have been mixed up, once nobody hides them."""
        clear = [track for track in self._tracks if track.in_doubt and not self._is_touched(track)]
        if not clear:
            return
        candidates = [track.person for track in clear] + self._absent()
        people = self.gallery.reconsider(
            frame, [(track.face, track.person) for track in clear], candidates
        )
        for track, person in zip(clear, people, strict=True):
            track.is_new |= person is not track.person
            track.person, track.in_doubt = person, False

    def _is_touched(self, track: _Track) -> bool:
        others: Sequence[_Track] = [other for other in self._tracks if other is not track]
        return any(overlap(track.face.box, other.face.box) > TOUCHING for other in others)


def _is_continuous(before: MeshedFace, after: MeshedFace) -> bool:
    old, new = np.array(before.box), np.array(after.box)
    size = max(1.0, float(max(old[2] - old[0], old[3] - old[1])))
    growth = float(max(new[2] - new[0], new[3] - new[1])) / size
    step = float(np.abs((new[:2] + new[2:]) / 2 - (old[:2] + old[2:]) / 2).max()) / size
    return step < MAX_STEP and 1 / MAX_GROWTH < growth < MAX_GROWTH


def _difference(a: RgbImage, b: RgbImage) -> float:
    return float(np.mean(cv2.absdiff(a, b)))
