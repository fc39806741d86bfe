"""The tracks of all parts of a video gathered into people.

Tracks whose mean views are alike are one person, wherever in the video they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from models.inference.arrays import Embedding
from models.inference.finding.identity_encoder import cosine_similarity, normalised
from models.inference.finding.people import OTHER_PERSON, SAME_MOMENT, SAME_PERSON
from models.inference.finding.survey.surveyed import (
    Gathered,
    Sighting,
    Surveyed,
    SurveyedPerson,
    SurveyPart,
)


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
