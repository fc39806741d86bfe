"""Who was found in a video and who becomes whom, also as a job's record has it.

A video is surveyed as a whole before anything is swapped, so that all segments agree about people
and "largest" means the one who is largest in the whole video.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.inference.arrays import Embedding
from models.inference.finding.survey.surveyed import Surveyed, SurveyedPerson
from models.inference.options import FaceSelector
from models.inference.swapping.selection import Assignment, Unmatched
from worker.contract.options import Strict


class PersonRecord(Strict):
    """A person in a job's record; the embedding is base64 of little-endian float32."""

    embedding: str
    resembles: str | None = None
    share: float = 0.0
    human: float = 1.0


class SurveyRecord(Strict):
    """A survey in a job's record: people and choices by `person_id`, in order of appearance."""

    people: dict[str, PersonRecord]
    choices: dict[str, int]
    unmatched: dict[int, Unmatched]
    hard_to_find: bool


@dataclass(frozen=True)
class Survey:
    """Everyone found, and who becomes whom: `choices` has the index of the assignment that chose a
    `person_id`, `unmatched` why an assignment chose nobody of its own.
    """

    surveyed: Surveyed = field(default_factory=Surveyed)
    choices: Mapping[str, int] = field(default_factory=dict)
    unmatched: Mapping[int, Unmatched] = field(default_factory=dict)

    def resolve(self, assignments: Sequence[Assignment]) -> list[Assignment]:
        """Return the assignments by person, and those that may mean someone whom the survey, which
        sees whoever is in view for half a second, has missed.
        """
        # Fixed by person now, so that all segments agree whatever they see.
        chosen = [
            replace(assignments[index], selector=FaceSelector("person", person_id=person))
            for person, index in self.choices.items()
        ]
        return chosen + [one for one in assignments if one.selector.kind in {"all", "reference"}]

    def chosen(self) -> list[Embedding]:
        """Return the views of those who become somebody else."""
        return [one.embedding for one in self.surveyed.people if one.person_id in self.choices]

    def to_record(self) -> SurveyRecord:
        """Return the survey for the job's record; what was seen where is not kept."""
        people = {
            one.person_id: PersonRecord(
                embedding=encode(one.embedding),
                resembles=one.resembles,
                share=one.share,
                human=one.human,
            )
            for one in self.surveyed.people
        }
        return SurveyRecord(
            people=people,
            choices=dict(self.choices),
            unmatched=dict(self.unmatched),
            hard_to_find=self.surveyed.hard_to_find,
        )

    @classmethod
    def from_record(cls, record: SurveyRecord) -> Survey:
        """Return the survey that `to_record` wrote."""
        people = tuple(
            SurveyedPerson(name, decode(one.embedding), one.resembles, one.share, one.human)
            for name, one in record.people.items()
        )
        surveyed = Surveyed(people, hard_to_find=record.hard_to_find)
        return cls(surveyed, record.choices, record.unmatched)


def encode(embedding: Embedding) -> str:
    """Return an embedding as base64 of little-endian float32."""
    # A quarter of what JSON's numbers would take; a long video's plan has one for each person.
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode()


def decode(text: str) -> Embedding:
    """Return the embedding that `encode` wrote."""
    return np.frombuffer(base64.b64decode(text), "<f4")
