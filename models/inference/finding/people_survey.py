"""Who is in a video: faces of samples from all of it, gathered into people.

A face is followed from sample to sample; what was followed without doubt is one track, and tracks
whose mean views are alike are one person, wherever in the video they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from models.inference.arrays import Box, Embedding
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.identity_encoder import likeness
from models.inference.finding.people import (
    OTHER_PERSON,
    SAME_MOMENT,
    SAME_PERSON,
    mean_view,
)
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
class Sighting:
    """A face of one sample: whose it is, where (left, top, right, bottom in pixels of the upright
    frame), and how far its eyes are apart.
    """

    person_id: str
    box: Box
    eye_px: float


@dataclass(frozen=True)
class SurveyedPerson:
    """Someone found: the mean of their views, whom they may be as well, and their share of the
    video: squared eye distance times seconds. `human` is their best (see `face_finder`).
    """

    person_id: str
    embedding: Embedding
    resembles: str | None
    share: float
    human: float


@dataclass(frozen=True)
class Surveyed:
    """Everyone of a video in order of appearance, and the faces of each sample, left to right.

    `hard_to_find` says that some are small or turned: a swap has to look for them more often.
    """

    people: tuple[SurveyedPerson, ...] = ()
    samples: tuple[tuple[Sighting, ...], ...] = ()
    hard_to_find: bool = False


@dataclass(frozen=True)
class _Seen:
    """A face of one sample, before it is known whose it is; no mesh, of which there are many."""

    track: Track
    time_s: float
    view: Embedding
    weight: float
    box: Box
    eye_px: float

    @property
    def is_sure(self) -> bool:
        doubted_from_s = self.track.doubted_from_s
        return doubted_from_s is None or self.time_s < doubted_from_s


@dataclass
class _Group:
    """Tracks of one person."""

    tracks: list[int]
    views: list[Embedding]
    weights: list[float]
    times: set[float]

    @property
    def mean(self) -> Embedding:
        return mean_view(self.views, self.weights)

    def take(self, other: _Group) -> None:
        self.tracks += other.tracks
        self.views += other.views
        self.weights += other.weights
        self.times |= other.times


@dataclass
class PeopleSurvey:
    """Gathers the faces of one video's samples; the tracker must recognise in every one."""

    tracker: FaceTracker
    _times_s: list[float] = field(default_factory=list, init=False)
    _samples: list[list[_Seen]] = field(default_factory=list, init=False)
    _hard_to_find: bool = field(default=False, init=False)

    def add(self, frame: Frame, time_s: float) -> list[TrackedFace]:
        """Look at the next sample, which stands for the time until the one after it."""
        tracked = self.tracker.update(frame, time_s)
        self._times_s.append(time_s)
        self._samples.append([_seen(one) for one in tracked])
        side = max(frame.width, frame.height)
        self._hard_to_find |= any(_is_hard_to_find(one.face, side) for one in tracked)

        return tracked

    def result(self) -> Surveyed:
        """Return everyone seen so far."""
        groups = self._groups()
        names = self._names(groups)
        samples = tuple(
            tuple(Sighting(names[id(seen.track)], seen.box, seen.eye_px) for seen in sample)
            for sample in self._samples
        )
        people = tuple(self._person(group, groups) for group in groups)

        return Surveyed(people, samples, self._hard_to_find)

    def names(self) -> dict[int, str]:
        """Return the `person_id` of every track seen, by the track's `id`."""
        return self._names(self._groups())

    def _names(self, groups: Sequence[_Group]) -> dict[int, str]:
        return {track: _name(groups, group) for group in groups for track in group.tracks}

    def _groups(self) -> list[_Group]:
        """Return the people's tracks, in order of appearance."""
        groups: list[_Group] = []
        for track in sorted(self._tracks(), key=lambda group: -sum(group.weights)):
            mean = track.mean
            margins = [likeness(mean, group.mean) - _least(track, group) for group in groups]
            best = int(np.argmax(margins)) if margins else 0

            if margins and margins[best] >= 0:
                groups[best].take(track)
            else:
                groups.append(track)

        order = {track: place for place, track in enumerate(self._order())}
        return sorted(groups, key=lambda group: min(order[track] for track in group.tracks))

    def _tracks(self) -> list[_Group]:
        """Return one group for each track, of the views in which nothing was in doubt."""
        tracks: dict[int, list[_Seen]] = {}
        for seen in (seen for sample in self._samples for seen in sample):
            tracks.setdefault(id(seen.track), []).append(seen)

        groups = []
        for track, every in tracks.items():
            sure = [seen for seen in every if seen.is_sure] or every
            views = [seen.view for seen in sure]
            weights = [seen.weight for seen in sure]
            groups.append(_Group([track], views, weights, {seen.time_s for seen in every}))

        return groups

    def _order(self) -> list[int]:
        """Return tracks in order of appearance, left to right."""
        return list(dict.fromkeys(id(seen.track) for sample in self._samples for seen in sample))

    def _person(self, group: _Group, groups: Sequence[_Group]) -> SurveyedPerson:
        mine = set(group.tracks)
        seen = [one for sample in self._samples for one in sample if id(one.track) in mine]
        lasting_s = dict(zip(self._times_s, self._durations_s(), strict=True))

        return SurveyedPerson(
            person_id=_name(groups, group),
            embedding=group.mean,
            resembles=_resembles(group, groups),
            share=sum(one.eye_px**2 * lasting_s[one.time_s] for one in seen),
            human=max(one.track.human for one in seen),
        )

    def _durations_s(self) -> list[float]:
        gaps = [after - before for before, after in pairwise(self._times_s)]
        return [*gaps, gaps[-1] if gaps else 1.0]


def _name(groups: Sequence[_Group], group: _Group) -> str:
    return f"p{1 + next(place for place, one in enumerate(groups) if one is group)}"


def _seen(tracked: TrackedFace) -> _Seen:
    face = tracked.face
    return _Seen(
        track=tracked.track,
        time_s=tracked.time_s,
        view=tracked.track.view,
        weight=_weight(face),
        box=face.box,
        eye_px=face.eye_px,
    )


def _least(a: _Group, b: _Group) -> float:
    """Return the cosine from which two groups are one person."""
    return SAME_MOMENT if a.times & b.times else SAME_PERSON


def _resembles(group: _Group, groups: Sequence[_Group]) -> str | None:
    """Return the larger person whom a group may belong to as well.

    Two who were seen in one frame are two people.
    """
    mean = group.mean
    scores = {
        _name(groups, other): likeness(mean, other.mean)
        for other in groups
        if other is not group
        and not other.times & group.times
        and sum(other.weights) >= sum(group.weights)
    }

    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] >= OTHER_PERSON else None


def _weight(face: MeshedFace) -> float:
    size = min(1.0, face.eye_px / GOOD_EYE_PX)
    contrast = min(1.0, float(np.std(face.look)) / GOOD_CONTRAST)
    return max(LEAST_WEIGHT, size * contrast * math.cos(math.radians(face.yaw_deg)) ** 2)


def _is_hard_to_find(face: MeshedFace, side: int) -> bool:
    if face.eye_px < SMALL_FACE * side:
        return True
    return abs(math.degrees(face.roll)) > TURNED_DEG
