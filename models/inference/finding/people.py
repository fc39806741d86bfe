"""Telling the people of a video apart, so that an identity stays with a person across gaps and
cuts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from models.inference.arrays import Box, Embedding, Landmarks, RgbImage
from models.inference.finding.face_detector import overlap
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import likeness
from models.inference.frames.frame import Frame

# Cosine: one person in two videos has .57 on average, two people .00 (docs/method.md 9); within one
# film light and hair agree too, so that the bar can be high.
SAME_PERSON = 0.42
SAME_PLACE_BONUS = (
    0.25  # a face that reappears where one was lost in the same shot is hardly someone else
)
CLEARLY_SOMEONE_ELSE = 0.12


class Recogniser(Protocol):
    """What the gallery needs of an identity encoder."""

    def chip(self, frame: Frame, landmarks: Landmarks) -> RgbImage: ...

    def recognise_chip(self, chip: RgbImage) -> Embedding: ...


@dataclass
class Person:
    """Someone seen in a video: where and when last, and what they look like.

    The embedding is computed when it is first asked for: a film with one person needs none.
    """

    person_id: str
    box: Box = (0.0, 0.0, 0.0, 0.0)
    shot: int = -1
    chip: RgbImage | None = None
    embedding: Embedding | None = None


@dataclass
class PeopleGallery:
    """Everyone seen so far; `known` people come from elsewhere, e.g.

    From the film's earlier segments.
    """

    recogniser: Recogniser
    known: Mapping[str, Embedding] = field(default_factory=dict)
    recognition_passes: int = field(default=0, init=False)
    _people: dict[str, Person] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._people = {
            name: Person(name, embedding=embedding) for name, embedding in self.known.items()
        }

    def people(self) -> list[Person]:
        """Return everyone in order of appearance."""
        return list(self._people.values())

    def person(self, person_id: str) -> Person:
        return self._people[person_id]

    def embedding(self, person: Person) -> Embedding:
        """Return a person's embedding, taken from their first clear view."""
        if person.embedding is None:
            assert person.chip is not None  # noqa: S101  a person without an embedding was met with a chip
            person.embedding, person.chip = self._encode(person.chip), None
        return person.embedding

    def identify(
        self, frame: Frame, faces: Sequence[MeshedFace], absent: Sequence[Person], shot: int
    ) -> list[Person]:
        """Return who newly found faces belong to: absent people who are like them, or else new
        people.
        """
        if not absent:
            return [self._meet(frame, face) for face in faces]
        embeddings = [self.look(frame, face) for face in faces]
        scores = {
            (index, person.person_id): likeness(embedding, self.embedding(person))
            + _place_bonus(face, person, shot)
            for index, (face, embedding) in enumerate(zip(faces, embeddings, strict=True))
            for person in absent
        }
        chosen = _best_pairs(scores, SAME_PERSON)
        return [
            self._people[chosen[index]]
            if index in chosen
            else self._meet(frame, face, embeddings[index])
            for index, face in enumerate(faces)
        ]

    def reconsider(
        self, frame: Frame, faces: Sequence[tuple[MeshedFace, Person]], candidates: Sequence[Person]
    ) -> list[Person]:
        """Return who tracked faces belong to after they may have been mixed up.

        In doubt they stay who they were.
        """
        embeddings = [self.look(frame, face) for face, _ in faces]
        scores = {
            (index, person.person_id): likeness(embedding, self.embedding(person))
            + (CLEARLY_SOMEONE_ELSE if person is faces[index][1] else 0.0)
            for index, embedding in enumerate(embeddings)
            for person in candidates
        }
        chosen = _best_pairs(scores, CLEARLY_SOMEONE_ELSE)
        return [
            self._people[chosen[index]]
            if index in chosen
            else self._meet(frame, face, embeddings[index])
            for index, (face, _) in enumerate(faces)
        ]

    def _meet(self, frame: Frame, face: MeshedFace, embedding: Embedding | None = None) -> Person:
        name = f"p{len(self._people) + 1}"
        chip = self.recogniser.chip(frame, face.landmarks) if embedding is None else None
        self._people[name] = Person(name, chip=chip, embedding=embedding)
        return self._people[name]

    def look(self, frame: Frame, face: MeshedFace) -> Embedding:
        """Return who a face of the frame looks like now."""
        return self._encode(self.recogniser.chip(frame, face.landmarks))

    def _encode(self, chip: RgbImage) -> Embedding:
        self.recognition_passes += 1
        return self.recogniser.recognise_chip(chip)


def _place_bonus(face: MeshedFace, person: Person, shot: int) -> float:
    return SAME_PLACE_BONUS * overlap(face.box, person.box) if person.shot == shot else 0.0


def _best_pairs(scores: Mapping[tuple[int, str], float], least: float) -> dict[int, str]:
    """Return face -> person, taking the best pair first, each face and each person once."""
    chosen: dict[int, str] = {}
    for (index, name), score in sorted(scores.items(), key=lambda item: -item[1]):
        if score >= least and index not in chosen and name not in chosen.values():
            chosen[index] = name
    return chosen
