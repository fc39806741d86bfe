"""Who is in a long film: looked up at its key frames before it is cut, so that all segments agree
about people.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from models.inference.arrays import Embedding
from models.inference.engine import Assignment, FaceSwapEngine, Identity, TrackedFace
from models.inference.frames.i420 import I420Frame
from models.inference.options import FaceSelector
from models.inference.selection import Candidate, Selection
from worker.contract import Strict
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view
from worker.video.reader import Span, VideoReader
from worker.video.video import Video

EVERY_S: Final = 1.0
MOST_SAMPLES: Final = 600


@dataclass(frozen=True)
class Sample:
    """One key frame, upright, the faces found in it, and everyone found so far."""

    view: I420Frame
    time_s: float
    faces: Sequence[TrackedFace]
    people: Mapping[str, Embedding]


class SurveyRecord(Strict):
    """A survey in a job's record: embeddings in base64 by `person_id`, and the choices."""

    people: dict[str, str]
    choices: dict[str, int]


@dataclass(frozen=True)
class Survey:
    """Everyone found, by `person_id`, and for each chosen person the place of their assignment in
    the job's list.
    """

    people: Mapping[str, Embedding] = field(default_factory=dict)
    choices: Mapping[str, int] = field(default_factory=dict)

    def resolve(self, assignments: Sequence[Assignment]) -> list[Assignment]:
        """The assignments by person: "largest" must not mean someone else in every segment."""
        chosen = [
            Assignment(FaceSelector("person", person_id=person), assignments[index].identity)
            for person, index in self.choices.items()
        ]
        decided = set(self.choices.values())
        return chosen + [
            assignment
            for index, assignment in enumerate(assignments)
            if assignment.selector.kind in {"all", "person"} or index not in decided
        ]

    def to_record(self) -> SurveyRecord:
        """Return the survey for the job's record, embeddings as base64 of little-endian float32."""
        people = {
            name: base64.b64encode(code.astype("<f4").tobytes()).decode()
            for name, code in self.people.items()
        }
        return SurveyRecord(people=people, choices=dict(self.choices))

    @classmethod
    def from_record(cls, record: SurveyRecord) -> Survey:
        """Return the survey that `to_record` wrote."""
        people = {
            name: np.frombuffer(base64.b64decode(code), "<f4")
            for name, code in record.people.items()
        }
        return cls(people=people, choices=record.choices)


def survey_video(
    samples: Iterable[Sample], assignments: Sequence[Assignment], watch: Callable[[int], None]
) -> Survey:
    """Who is in the film's samples; `watch` gets their count and may end the work by raising."""
    selection = Selection(assignments)
    choices: dict[str, int] = {}
    people: Mapping[str, Embedding] = {}
    for count, sample in enumerate(samples):
        watch(count)
        people = sample.people
        chosen = selection.choose([_candidate(face, people) for face in sample.faces])
        for person in chosen.keys() & {face.person_id for face in sample.faces}:
            choices.setdefault(person, _place(assignments, chosen[person].identity))
    return Survey(people, choices)


def key_frame_samples(video: Video, engine: FaceSwapEngine, scratch: Path) -> Iterator[Sample]:
    """Key frames with their people, spread over the film, each looked at afresh: much may happen
    between two.
    """
    picture = PictureFormat.of(video.info, None)
    preparer = FramePreparer(video.info, picture, scratch)
    reader = VideoReader(video, preparer, key_frames_only=True)
    gap_s = max(EVERY_S, (video.info.duration_s or 0.0) / MOST_SAMPLES)
    people: Mapping[str, Embedding] = {}
    due_s = float("-inf")
    for frame in reader.frames(Span()):
        if frame.time_s >= due_s:
            due_s = frame.time_s + gap_s
            view = i420_view(frame.picture, picture.colour)
            tracker = engine.tracker(people=people)
            faces = tracker.update(view, frame.time_s)
            people = {person.person_id: person.embedding for person in tracker.gallery.people()}
            yield Sample(view, frame.time_s, faces, people)


def _place(assignments: Sequence[Assignment], identity: Identity) -> int:
    return next(
        index for index, assignment in enumerate(assignments) if assignment.identity is identity
    )


def _candidate(tracked: TrackedFace, people: Mapping[str, Embedding]) -> Candidate:
    return Candidate(
        tracked.person_id, tracked.face.box, tracked.face.eye_px, lambda: people[tracked.person_id]
    )
