"""Who is in a video: looked up in samples of all of it before anything is swapped, so that all
segments agree about people and "largest" means the one who is largest in the whole video.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from av.video.frame import VideoFrame

from models.inference.arrays import Embedding, Plane
from models.inference.engine import FaceSwapEngine
from models.inference.finding.detections import overlap
from models.inference.finding.face_finder import MIN_HUMAN
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_tracker import is_cut
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.survey.surveyed import Sighting, Surveyed, SurveyedPerson
from models.inference.frames.frame import Frame
from models.inference.options import FaceSelector
from models.inference.swapping.selection import (
    MAYBE_REFERENCE,
    MIN_BOX_OVERLAP,
    Assignment,
    Unmatched,
    like_reference,
)
from worker.contract.options import Strict
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view, luma_samples
from worker.video.reader import Span, VideoReader
from worker.video.video import Video

Examine = Callable[[Frame, Sequence[tuple[int, MeshedFace]], float], None]

EVERY_S: Final = 0.25  # whoever is in view for half a second is seen, in two samples as a rule
MOST_SAMPLES: Final = 14_400  # an hour of them; a longer video is sampled less often
WHOLE: Final = Span()


@dataclass(frozen=True)
class Sample:
    """A frame to look at, upright and at full size, and when it is shown."""

    frame: Frame
    time_s: float


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


def survey_samples(
    engine: FaceSwapEngine,
    samples: Iterable[Sample],
    assignments: Sequence[Assignment],
    watch: Callable[[int], None],
    examine: Examine | None = None,
) -> Survey:
    """Return who is in the samples and who of them becomes whom; `watch` gets their count and may
    end the work by raising. `examine` gets each sample and the faces in it, by track.
    """
    survey = engine.survey()
    for count, sample in enumerate(samples):
        # Before the work on a sample: a cancellation is heard without one more pass.
        watch(count)
        tracked = survey.add(sample.frame, sample.time_s)

        if examine is not None:
            faces = [(id(one.track), one.face) for one in tracked]
            examine(sample.frame, faces, sample.time_s)

    return choose(survey.result(), assignments)


def choose(surveyed: Surveyed, assignments: Sequence[Assignment]) -> Survey:
    """Return who becomes whom; where two assignments mean one person, the first one wins."""
    choices: dict[str, int] = {}
    unmatched: dict[int, Unmatched] = {}

    for index, assignment in enumerate(assignments):
        meant = _meant(assignment.selector, surveyed)
        # The first assignment wins, as the API's documentation says.
        free = [person for person in meant if person not in choices]
        choices |= dict.fromkeys(free, index)

        if meant and not free:
            unmatched[index] = "already_assigned"
        elif not meant:
            unmatched[index] = _why_nobody(assignment.selector, surveyed)

    return Survey(surveyed, choices, unmatched)


def video_samples(video: Video, scratch: Path, span: Span = WHOLE) -> Iterator[Sample]:
    """Return frames spread over a span of the video, and the first one of every scene.

    Frames on which no other depends are not even decoded.
    """
    picture = PictureFormat.of(video.info, None)
    # A longer video is looked at less often, so that the survey's time is bounded.
    gap_s = max(EVERY_S, (video.info.duration_s or 0.0) / MOST_SAMPLES)
    chooser = _SampleChooser(gap_s)
    reader = VideoReader(
        video, FramePreparer(video.info, picture, scratch), decoded="referenced", chosen=chooser
    )

    for frame in reader.frames(span):
        yield Sample(i420_view(frame.picture, picture.colour), frame.time_s)


def encode(embedding: Embedding) -> str:
    """Return an embedding as base64 of little-endian float32."""
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode()


def decode(text: str) -> Embedding:
    """Return the embedding that `encode` wrote."""
    return np.frombuffer(base64.b64decode(text), "<f4")


class _SampleChooser:
    """Whether a decoded frame is looked at: when it is due, or begins a scene."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._due_s = float("-inf")
        self._before: Plane | None = None

    def __call__(self, frame: VideoFrame) -> bool:
        samples = luma_samples(frame)
        before = self._before
        # A new scene may show new people, however soon it comes.
        begins_scene = before is None or before.shape != samples.shape or is_cut(before, samples)
        self._before = samples

        time_s = float((frame.pts or 0) * (frame.time_base or 0))
        if not begins_scene and time_s < self._due_s:
            return False

        self._due_s = time_s + self._gap_s
        return True


def _meant(selector: FaceSelector, surveyed: Surveyed) -> list[str]:
    """Return the people whom a selector means."""
    humans = [one for one in surveyed.people if one.human >= MIN_HUMAN]
    match selector.kind:
        case "all":
            return [one.person_id for one in humans]
        case "largest":
            largest = max(humans, key=lambda one: one.share, default=None)
            return [largest.person_id] if largest else []
        case "person":
            ids = {one.person_id for one in surveyed.people}
            return [selector.person_id] if selector.person_id in ids else []
        case "reference":
            assert selector.reference is not None  # noqa: S101  the edge validates it
            return sorted(like_reference(_views(surveyed), selector.reference))
        case "index":
            rows = (row for row in surveyed.samples if len(row) > selector.index)
            # The first sample with so many faces: "index 2" means the third from the left at first
            # sight.
            first = next(rows, None)
            return [first[selector.index].person_id] if first else []
        case "box":
            return _in_box(selector, surveyed.samples)


def _in_box(selector: FaceSelector, samples: Sequence[Sequence[Sighting]]) -> list[str]:
    """Return who overlaps the box most at first sight."""
    for sample in samples:
        best = max(sample, key=lambda one: overlap(one.box, selector.box), default=None)
        if best is not None and overlap(best.box, selector.box) >= MIN_BOX_OVERLAP:
            return [best.person_id]

    return []


def _why_nobody(selector: FaceSelector, surveyed: Surveyed) -> Unmatched:
    if selector.kind == "reference" and selector.reference is not None:
        alike = [cosine_similarity(view, selector.reference) for view in _views(surveyed).values()]
        if max(alike, default=-1.0) >= MAYBE_REFERENCE:
            return "not_sure"

    if selector.kind in {"all", "largest"} and surveyed.people:
        return "not_a_face"

    return "nobody_matches"


def _views(surveyed: Surveyed) -> dict[str, Embedding]:
    return {one.person_id: one.embedding for one in surveyed.people}
