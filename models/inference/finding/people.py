"""Telling the people of a video apart, so that an identity stays with a person across gaps and
cuts.

Error rates of the two thresholds: docs/recognition.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.inference.arrays import Box, Embedding, Landmarks, RgbImage
from models.inference.finding.identity_encoder import cosine_similarity, normalised
from models.inference.frames.frame import Frame

# Cosine of a view with the mean of a person's views. Two people who look alike under one light
# reach .68, one person in other clothes and under the same light has .79 and more.
SAME_PERSON = 0.70
# Two faces of one frame are one person, as in a mirror, only from here on: taken in one moment, a
# face and its mirror image agree by .93 and more.
SAME_MOMENT = 0.85
# Below this nobody is taken for the person; between the two it is not sure, and nobody is swapped.
OTHER_PERSON = 0.50
# Of two people who may have been mixed up, the better fit by this much: they are two known people,
# not everybody.
CLEARLY_BETTER = 0.25


class Recogniser(Protocol):
    """What the gallery needs of an identity encoder."""

    def chip(self, frame: Frame, landmarks: Landmarks) -> RgbImage: ...

    def recognise_chip(self, chip: RgbImage) -> Embedding: ...


@dataclass
class Person:
    """Someone seen in a video: what they look like, and where and in which shot last.

    `resembles` names the person whom this one may be as well: the cosine was between the two
    thresholds, so that neither answer is safe.
    """

    person_id: str
    embedding: Embedding
    resembles: str | None = None
    views: int = 1
    box: Box = (0.0, 0.0, 0.0, 0.0)
    shot: int = -1


@dataclass(frozen=True)
class Match:
    """The person of the gallery whom a view is most like, and the cosine; None for nobody."""

    person: Person | None
    cosine: float

    @property
    def is_sure(self) -> bool:
        return self.cosine >= SAME_PERSON

    @property
    def is_nobody(self) -> bool:
        return self.cosine < OTHER_PERSON


@dataclass
class PeopleGallery:
    """Everyone seen so far.

    `known` people, with the mean of their views, come from a survey of the whole video, which also
    says whom some of them may be as well (`resembling`); `prefix` begins the names of the others,
    so that two segments never give one name to two people.
    """

    recogniser: Recogniser
    known: Mapping[str, Embedding] = field(default_factory=dict)
    prefix: str = "p"
    resembling: Mapping[str, str] = field(default_factory=dict)
    recognition_passes: int = field(default=0, init=False)
    _people: dict[str, Person] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._people = {
            name: Person(name, embedding, self.resembling.get(name))
            for name, embedding in self.known.items()
        }

    def people(self) -> list[Person]:
        """Return everyone in order of appearance."""
        return list(self._people.values())

    def person(self, person_id: str) -> Person:
        return self._people[person_id]

    def match(self, view: Embedding, among: Sequence[Person] | None = None) -> Match:
        """Return who a view is most like."""
        people = self.people() if among is None else among
        best = max(
            people, key=lambda person: cosine_similarity(view, person.embedding), default=None
        )
        return Match(best, -1.0 if best is None else cosine_similarity(view, best.embedding))

    def meet(self, view: Embedding, resembles: str | None = None) -> Person:
        """Add someone who is none of those known, or not surely."""
        number = len(self._people) + 1 - (0 if self.prefix == "p" else len(self.known))
        person = Person(f"{self.prefix}{number}", view, resembles)
        self._people[person.person_id] = person
        return person

    def is_learning(self, person: Person) -> bool:
        """Whether a person's mean follows their views; known people have theirs already."""
        return person.person_id not in self.known

    def learn(self, person: Person, view: Embedding) -> None:
        """Add a view that is surely a person's to their mean, where that is not known already."""
        if self.is_learning(person):
            person.embedding = mean_view([person.embedding, view], [person.views, 1])
            person.views += 1

    def look(self, frame: Frame, landmarks: Landmarks) -> Embedding:
        """Return who a face of the frame looks like now."""
        self.recognition_passes += 1
        return self.recogniser.recognise_chip(self.recogniser.chip(frame, landmarks))


def mean_view(views: Sequence[Embedding], weights: Sequence[float] | None = None) -> Embedding:
    """Return the mean of embeddings, of length one."""
    return normalised(np.asarray(np.average(views, axis=0, weights=weights), np.float32))
