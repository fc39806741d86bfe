"""Who becomes whom: which people of a survey each assignment means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from models.inference.arrays import Embedding
from models.inference.engine import FaceSwapEngine
from models.inference.finding.detections import overlap
from models.inference.finding.face_finder import MIN_HUMAN
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.survey.surveyed import Sighting, Surveyed
from models.inference.frames.frame import Frame
from models.inference.options import FaceSelector
from models.inference.swapping.selection import (
    MAYBE_REFERENCE,
    MIN_BOX_OVERLAP,
    Assignment,
    Unmatched,
    like_reference,
)
from worker.video.surveys.samples import Sample
from worker.video.surveys.survey import Survey

Examine = Callable[[Frame, Sequence[tuple[int, MeshedFace]], float], None]


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
