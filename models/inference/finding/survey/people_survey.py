"""Who is in a video: faces of samples from all of it, gathered into people.

A face is followed from sample to sample; what was followed without doubt is one track. A long video
is surveyed in parts, each with tracks of its own, which are gathered as those of one part are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.inference.arrays import Embedding
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.survey.gathering import gather
from models.inference.finding.survey.surveyed import FollowedFace, SeenFace, Surveyed, SurveyPart
from models.inference.finding.tracks import Track, TrackedFace
from models.inference.frames.frame import Frame

# A view counts fully from this many pixels between the eyes and this contrast (standard deviation
# of the face's levels) on; in the dark, far away and from the side a face says less.
GOOD_EYE_PX = 40.0
GOOD_CONTRAST = 20.0
LEAST_WEIGHT = 0.02
SMALL_FACE = 1 / 28  # eye distance over the frame's longer side: one look at the frame misses it
TURNED_DEG = 50.0  # from upright: as much as the detector sees without turning the frame


@dataclass(frozen=True)
class _View:
    """What one sample says of a face; no mesh, of which there are many."""

    track: Track
    time_s: float
    view: Embedding
    weight: float

    @property
    def is_sure(self) -> bool:
        doubted_from_s = self.track.doubted_from_s
        return doubted_from_s is None or self.time_s < doubted_from_s


@dataclass
class PeopleSurvey:
    """Gathers the faces of the samples of one part of a video, or of all of it.

    The tracker must recognise in every sample.
    """

    tracker: FaceTracker
    _times_s: list[float] = field(default_factory=list, init=False)
    _samples: list[tuple[SeenFace, ...]] = field(default_factory=list, init=False)
    _views: dict[int, list[_View]] = field(default_factory=dict, init=False)
    _numbers: dict[int, int] = field(default_factory=dict, init=False)
    _hard_to_find: bool = field(default=False, init=False)

    def add(self, frame: Frame, time_s: float) -> list[TrackedFace]:
        """Look at the next sample, which stands for the time until the one after it."""
        tracked = self.tracker.update(frame, time_s)
        self._times_s.append(time_s)

        for one in tracked:
            view = _View(one.track, one.time_s, one.track.view, _weight(one.face))
            self._views.setdefault(id(one.track), []).append(view)
            self._numbers.setdefault(id(one.track), len(self._numbers))

        self._samples.append(
            tuple(
                SeenFace(self._numbers[id(one.track)], one.face.box, one.face.eye_px)
                for one in tracked
            )
        )
        side = max(frame.width, frame.height)
        self._hard_to_find |= any(_is_hard_to_find(one.face, side) for one in tracked)

        return tracked

    def numbers(self) -> Mapping[int, int]:
        """Return the number of every track seen so far, by the track's `id`."""
        return self._numbers

    def part(self) -> SurveyPart:
        """Return what was seen so far."""
        tracks = tuple(_followed(views) for views in self._views.values())
        return SurveyPart(tuple(self._times_s), tuple(self._samples), tracks, self._hard_to_find)

    def result(self) -> Surveyed:
        """Return everyone seen so far."""
        return gather([self.part()]).surveyed

    def names(self) -> dict[int, str]:
        """Return the `person_id` of every track seen, by the track's `id`."""
        (names,) = gather([self.part()]).names
        return dict(zip(self._views, names, strict=True))


def _followed(views: Sequence[_View]) -> FollowedFace:
    """Return a track's views in which nothing was in doubt, together; all, where all were."""
    sure = [view for view in views if view.is_sure] or views
    return FollowedFace(
        view_sum=np.sum([view.weight * view.view for view in sure], axis=0, dtype=np.float32),
        weight=sum(view.weight for view in sure),
        human=views[0].track.human,
    )


def _weight(face: MeshedFace) -> float:
    size = min(1.0, face.eye_px / GOOD_EYE_PX)
    contrast = min(1.0, float(np.std(face.look)) / GOOD_CONTRAST)
    return max(LEAST_WEIGHT, size * contrast * math.cos(math.radians(face.yaw_deg)) ** 2)


def _is_hard_to_find(face: MeshedFace, side: int) -> bool:
    if face.eye_px < SMALL_FACE * side:
        return True
    return abs(math.degrees(face.roll)) > TURNED_DEG
