"""Who is in a video: faces of samples from all of it, gathered into people.

A face is followed from sample to sample; what was followed without doubt is one track, and tracks
whose mean views are alike are one person, wherever in the video they are. A long video is surveyed
in parts, each with tracks of its own, which are gathered as those of one part are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from models.inference.arrays import Box, Embedding
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_tracker import FaceTracker
from models.inference.finding.identity_encoder import cosine_similarity, normalised
from models.inference.finding.people import (
    OTHER_PERSON,
    SAME_MOMENT,
    SAME_PERSON,
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
class SeenFace:
    """A face of one sample, before it is known whose it is: the number of its track in its part of
    the video, where it is, and how far its eyes are apart.
    """

    track: int
    box: Box
    eye_px: float


@dataclass(frozen=True)
class FollowedFace:
    """One track: the weighted sum of its views in which nothing was in doubt, the sum of their
    weights, and its best `human`.
    """

    view_sum: Embedding
    weight: float
    human: float


@dataclass(frozen=True)
class SurveyPart:
    """What the samples of one part of a video show; tracks are numbered in order of appearance."""

    times_s: tuple[float, ...]
    samples: tuple[tuple[SeenFace, ...], ...]
    tracks: tuple[FollowedFace, ...]
    hard_to_find: bool


@dataclass(frozen=True)
class Gathered:
    """Everyone in the parts of a video, and `names`: the `person_id` of each track of each part."""

    surveyed: Surveyed
    names: tuple[tuple[str, ...], ...]


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


def gather(parts: Sequence[SurveyPart]) -> Gathered:
    """Return everyone in the parts of one video, given in its order."""
    groups = _groups(parts)
    names = {track: _name(groups, group) for group in groups for track in group.tracks}
    samples = tuple(
        tuple(Sighting(names[number, one.track], one.box, one.eye_px) for one in sample)
        for number, part in enumerate(parts)
        for sample in part.samples
    )
    times_s = [time_s for part in parts for time_s in part.times_s]
    shares = _shares(samples, times_s)

    people = tuple(
        SurveyedPerson(
            person_id=_name(groups, group),
            embedding=group.mean,
            resembles=_resembles(group, groups),
            share=shares[_name(groups, group)],
            human=group.human,
        )
        for group in groups
    )
    return Gathered(
        surveyed=Surveyed(people, samples, any(part.hard_to_find for part in parts)),
        names=tuple(
            tuple(names[number, track] for track in range(len(part.tracks)))
            for number, part in enumerate(parts)
        ),
    )


@dataclass
class _Group:
    """Tracks of one person, each named by the numbers of its part and in it."""

    tracks: list[tuple[int, int]]
    view_sum: Embedding
    weight: float
    times_s: set[float]
    human: float

    @property
    def mean(self) -> Embedding:
        return normalised(self.view_sum)

    def take(self, other: _Group) -> None:
        self.tracks += other.tracks
        self.view_sum = self.view_sum + other.view_sum
        self.weight += other.weight
        self.times_s |= other.times_s
        self.human = max(self.human, other.human)


def _groups(parts: Sequence[SurveyPart]) -> list[_Group]:
    """Return the people's tracks, in order of appearance."""
    tracks = _tracks(parts)
    groups: list[_Group] = []

    for track in sorted(tracks, key=lambda one: -one.weight):
        mean = track.mean
        margins = [cosine_similarity(mean, group.mean) - _least(track, group) for group in groups]
        best = int(np.argmax(margins)) if margins else 0

        if margins and margins[best] >= 0:
            groups[best].take(track)
        else:
            groups.append(replace(track, tracks=[*track.tracks], times_s={*track.times_s}))

    # Tracks are numbered in order of appearance.
    return sorted(groups, key=lambda group: min(group.tracks))


def _tracks(parts: Sequence[SurveyPart]) -> list[_Group]:
    """Return one group for each track, in order of appearance."""
    groups = []
    for number, part in enumerate(parts):
        seen_s: dict[int, set[float]] = {}
        for time_s, sample in zip(part.times_s, part.samples, strict=True):
            for one in sample:
                seen_s.setdefault(one.track, set()).add(time_s)

        groups += [
            _Group([(number, index)], track.view_sum, track.weight, seen_s[index], track.human)
            for index, track in enumerate(part.tracks)
        ]

    return groups


def _shares(samples: Sequence[Sequence[Sighting]], times_s: Sequence[float]) -> Mapping[str, float]:
    """Return everyone's squared eye distance times the seconds they are seen."""
    gaps_s = [after - before for before, after in pairwise(times_s)]
    lasting_s = [*gaps_s, gaps_s[-1] if gaps_s else 1.0]
    shares: dict[str, float] = defaultdict(float)

    for sample, duration_s in zip(samples, lasting_s, strict=True):
        for one in sample:
            shares[one.person_id] += one.eye_px**2 * duration_s

    return shares


def _name(groups: Sequence[_Group], group: _Group) -> str:
    return f"p{1 + next(place for place, one in enumerate(groups) if one is group)}"


def _followed(views: Sequence[_View]) -> FollowedFace:
    """Return a track's views in which nothing was in doubt, together; all, where all were."""
    sure = [view for view in views if view.is_sure] or views
    return FollowedFace(
        view_sum=np.sum([view.weight * view.view for view in sure], axis=0, dtype=np.float32),
        weight=sum(view.weight for view in sure),
        human=views[0].track.human,
    )


def _least(a: _Group, b: _Group) -> float:
    """Return the cosine from which two groups are one person."""
    return SAME_MOMENT if a.times_s & b.times_s else SAME_PERSON


def _resembles(group: _Group, groups: Sequence[_Group]) -> str | None:
    """Return the larger person whom a group may belong to as well.

    Two who were seen in one frame are two people.
    """
    mean = group.mean
    scores = {
        _name(groups, other): cosine_similarity(mean, other.mean)
        for other in groups
        if other is not group and not other.times_s & group.times_s and other.weight >= group.weight
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
