"""Following people with a look at every second frame while they move evenly.

A frame is written after later ones have been seen, so its faces can lie between those of the frames
around it: half as far off as where motion would have carried them. Where something else happens
than even motion, all frames are looked at, in order, as if none had been passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from models.inference.arrays import Plane
from models.inference.finding.face_finder import MIN_MESH_SCORE
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_tracker import FaceTracker, changed_share
from models.inference.finding.tracks import TrackedFace, difference, is_continuous
from models.inference.frames.frame import Frame

MOST_APART_S = 0.085  # two frames of the slowest common video
# Of the frame, from one to the next: ordinary motion changes 2 %; a flash, a fade or a fast pan
# changes more, and across a cut nothing is even.
MOST_CHANGED = 0.06
# Between two looks, in levels: 2 is common from frame to frame, another face differs by 11.
MOST_DIFFERENT = 4.0
# How far a point may lie beside the straight line between two looks, by how its motion bends, in
# distances between the eyes: the mesh's own noise is as large.
MOST_BEND = 0.004
BENT_SHARE = 90  # percentile of the points that decides: lips are a tenth of them


@dataclass(frozen=True)
class SeenFrame:
    """A frame whose faces are known, in the shot it belongs to."""

    frame: Frame
    time_s: float
    shot: int
    began_shot: bool
    faces: list[TrackedFace]


@dataclass
class SparseTracker:
    """Wraps a tracker; takes every frame of a video, in order."""

    tracker: FaceTracker
    _passed: list[tuple[Frame, float]] = field(default_factory=list, init=False)
    _looked: list[SeenFrame] = field(default_factory=list, init=False)
    _samples: Plane | None = field(default=None, init=False)
    _time_s: float = field(default=0.0, init=False)

    def take(self, frame: Frame, time_s: float) -> list[SeenFrame]:
        """Return the frames whose faces are known now, oldest first: none while this one is passed
        over, else those that were and this one.
        """
        is_quiet = self._is_quiet(frame)
        step_s = time_s - self._time_s
        self._time_s = time_s

        if is_quiet and self._may_pass(time_s, step_s):
            self._passed.append((frame, time_s))
            return []

        looks = self._even_looks(frame, time_s) if is_quiet and self._passed else None
        if looks is None:
            return [*self.finish(), self._look(frame, time_s)]

        before = self._looked[-1]
        passed = [_between(before, looks, time_s, passed) for passed in self._passed]
        self._passed = []

        return [*passed, self._look(frame, time_s, looks)]

    def finish(self) -> list[SeenFrame]:
        """Look at the frames that were passed over, and return them, oldest first."""
        passed = self._passed
        self._passed = []
        return [self._look(frame, time_s) for frame, time_s in passed]

    def _is_quiet(self, frame: Frame) -> bool:
        before = self._samples
        self._samples = np.ascontiguousarray(frame.luma_samples())
        return before is not None and changed_share(before, self._samples) < MOST_CHANGED

    def _may_pass(self, time_s: float, step_s: float) -> bool:
        """Whether the next frame comes early enough to say what is in this one."""
        if len(self._looked) < 2 or not self.tracker.is_settled(time_s):
            return False
        return time_s + step_s - self._looked[-1].time_s <= MOST_APART_S

    def _even_looks(self, frame: Frame, time_s: float) -> dict[int, MeshedFace] | None:
        """Return what the mesh sees of everyone in a frame, by track; None where somebody did not
        move evenly to there.
        """
        earlier, before = self._looked
        looks = self.tracker.looks(frame)
        known = {id(one.track): one.face for one in earlier.faces}
        share = (time_s - before.time_s) / max(before.time_s - earlier.time_s, 1e-6)

        for one in before.faces:
            then = known.get(id(one.track))
            now = looks.get(id(one.track))
            if then is None or now is None or not _is_even(then, one.face, now, share):
                return None

        return looks

    def _look(
        self, frame: Frame, time_s: float, looks: dict[int, MeshedFace] | None = None
    ) -> SeenFrame:
        faces = self.tracker.update(frame, time_s, looks)
        seen = SeenFrame(
            frame=frame,
            time_s=time_s,
            shot=self.tracker.shot,
            began_shot=self.tracker.shot_just_began,
            faces=faces,
        )
        self._looked = [*self._looked[-1:], seen]
        return seen


def _is_even(earlier: MeshedFace, before: MeshedFace, now: MeshedFace, share: float) -> bool:
    """Whether a face moved from `before` to `now` as it had come from `earlier`, in `share` of that
    time.
    """
    if now.score < MIN_MESH_SCORE or not is_continuous(before, now):
        return False
    if difference(now.look, before.look) > MOST_DIFFERENT:
        return False

    came = (before.landmarks - earlier.landmarks) * share
    apart = np.linalg.norm(now.landmarks - before.landmarks - came, axis=1)
    # Under constant acceleration the middle lies an eighth of that beside the straight line.
    bend = float(np.percentile(apart, BENT_SHARE)) / 8

    return bend < MOST_BEND * before.eye_px


def _between(
    before: SeenFrame, looks: Mapping[int, MeshedFace], time_s: float, passed: tuple[Frame, float]
) -> SeenFrame:
    """Return a frame that was passed over, its faces on their way to what was seen at `time_s`."""
    frame, passed_s = passed
    share = (passed_s - before.time_s) / (time_s - before.time_s)
    faces = [
        TrackedFace(
            one.track, _mixed(one.face, looks[id(one.track)], share), passed_s, is_new=False
        )
        for one in before.faces
    ]

    return SeenFrame(frame, passed_s, before.shot, began_shot=False, faces=faces)


def _mixed(before: MeshedFace, after: MeshedFace, share: float) -> MeshedFace:
    moved = before.landmarks + np.float32(share) * (after.landmarks - before.landmarks)
    plain = before.unrefined
    if plain is not None and after.unrefined is not None:
        plain = plain + np.float32(share) * (after.unrefined - plain)

    return replace(
        before,
        landmarks=moved,
        unrefined=plain,
        # What is doubtful at either end is doubtful in between.
        score=min(before.score, after.score),
        yaw_deg=before.yaw_deg + share * (after.yaw_deg - before.yaw_deg),
    )
