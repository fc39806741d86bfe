"""Which person gets which identity, decided once per person and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.inference.arrays import Box, Embedding
from models.inference.finding.detections import overlap
from models.inference.finding.face_finder import MIN_HUMAN
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.people import SAME_MOMENT, SAME_PERSON
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity

Unmatched = Literal["already_assigned", "not_sure", "not_a_face", "nobody_matches"]

# Of the union of both boxes: a box drawn by hand is seldom a detector's.
MIN_BOX_OVERLAP = 0.3
# Cosine with a registered reference, which may be years older than the video: of 290 pairs of
# photographs of one person from two sources 97.2 % reach it, of pairs of two people 0.06 %.
LIKE_REFERENCE = 0.60
MAYBE_REFERENCE = 0.45  # 99.7 % and 0.8 %: not sure, so nobody is swapped, and that is said


@dataclass(frozen=True)
class Assignment:
    """Which faces become whom; `number` is its place in the caller's list."""

    selector: FaceSelector
    identity: Identity
    number: int = 0


@dataclass(frozen=True)
class Candidate:
    """Someone in view: `embedding` is only computed for selectors that need it.

    `human` 0..1 tells faces from drawings and animals (see `face_finder`).
    """

    person_id: str
    box: Box
    eye_px: float
    embedding: Callable[[], Embedding]
    human: float = 1.0


@dataclass
class Selection:
    """Remembers who was chosen: a selector that means one person means the same person to the
    end.

    Of the `settled` people it is known who they become: only selectors that name them count.
    By the numbers of assignments: `contested` chose someone whom an earlier one has already,
    `unsure` have a reference that is like somebody, but not surely, and `not_human` met only what
    is no human face.
    """

    assignments: Sequence[Assignment]
    settled: frozenset[str] = frozenset()
    contested: set[int] = field(default_factory=set, init=False)
    unsure: set[int] = field(default_factory=set, init=False)
    not_human: set[int] = field(default_factory=set, init=False)
    _chosen: dict[int, set[str]] = field(default_factory=dict, init=False)
    _refused: set[tuple[int, str]] = field(default_factory=set, init=False)

    def choose(self, in_view: Sequence[Candidate]) -> dict[str, Assignment]:
        """Return person_id -> assignment for the people in view, left to right.

        The first assignment that fits wins.
        """
        chosen: dict[str, Assignment] = {}
        in_view = [one for one in in_view if one.person_id not in self.settled]

        for index, assignment in enumerate(self.assignments):
            mine = self._selected(index, assignment, in_view)
            # The first assignment in the request wins a person that two of them select.
            for person_id in mine:
                chosen.setdefault(person_id, assignment)

            if mine and all(chosen[person_id] is not assignment for person_id in mine):
                self.contested.add(assignment.number)
            elif mine:
                self.contested.discard(assignment.number)

        return chosen

    def why_nobody(self, number: int) -> Unmatched:
        """Return why the assignment with this number has chosen nobody of its own so far."""
        if number in self.contested:
            return "already_assigned"
        if number in self.unsure:
            return "not_sure"

        return "not_a_face" if number in self.not_human else "nobody_matches"

    def _selected(
        self, index: int, assignment: Assignment, in_view: Sequence[Candidate]
    ) -> list[str]:
        selector = assignment.selector
        if selector.kind == "person":
            return [selector.person_id]
        if selector.kind == "all":
            return [one.person_id for one in self._humans(assignment, in_view)]
        if selector.kind == "reference":
            return self._like_reference(index, assignment, in_view)
        # Chosen once: who is largest may change from frame to frame, who is swapped must not.
        if index not in self._chosen:
            found = self._find(assignment, in_view)
            if found is None:
                return []

            self._chosen[index] = {found.person_id}

        return list(self._chosen[index])

    def _find(self, assignment: Assignment, in_view: Sequence[Candidate]) -> Candidate | None:
        selector = assignment.selector
        if not in_view:
            return None
        if selector.kind == "index":
            return in_view[selector.index] if selector.index < len(in_view) else None
        if selector.kind == "box":
            best = max(in_view, key=lambda candidate: overlap(candidate.box, selector.box))
            return best if overlap(best.box, selector.box) >= MIN_BOX_OVERLAP else None

        humans = self._humans(assignment, in_view)
        return max(humans, key=lambda candidate: candidate.eye_px, default=None)

    def _humans(self, assignment: Assignment, in_view: Sequence[Candidate]) -> list[Candidate]:
        """Return those whom a selector may mean that names nobody: no drawings, no animals."""
        humans = [candidate for candidate in in_view if candidate.human >= MIN_HUMAN]
        if in_view and not humans:
            self.not_human.add(assignment.number)
        return humans

    def _like_reference(
        self, index: int, assignment: Assignment, in_view: Sequence[Candidate]
    ) -> list[str]:
        """Return everyone in view who is like the reference, also a mirror image.

        Each person is asked for an embedding once, not in every frame.
        """
        reference = assignment.selector.reference
        assert reference is not None  # noqa: S101  the edge validates it
        chosen = self._chosen.setdefault(index, set())
        asked = [one for one in in_view if (index, one.person_id) not in self._refused]
        asked = [one for one in asked if one.person_id not in chosen]
        views = {one.person_id: one.embedding() for one in asked}
        alike = {name: cosine_similarity(view, reference) for name, view in views.items()}

        # Nobody is compared twice: an embedding of a track changes little, and doubt would flicker.
        self._refused |= {(index, name) for name in views}
        if not chosen:
            found = like_reference(views, reference)
            # Said in the report, so that the caller can choose by person instead.
            chosen |= found

            if not found and max(alike.values(), default=-1.0) >= MAYBE_REFERENCE:
                self.unsure.add(assignment.number)

        return list(chosen)


def like_reference(views: Mapping[str, Embedding], reference: Embedding) -> set[str]:
    """Return the people who are surely like a reference, by the mean of their views: the one most
    like it, their mirror images, and whoever is like it without any doubt.
    """
    alike = {name: cosine_similarity(view, reference) for name, view in views.items()}
    best = max(alike, key=lambda name: alike[name], default=None)

    if best is None or alike[best] < LIKE_REFERENCE:
        return set()

    return {
        name
        for name, view in views.items()
        if alike[name] >= SAME_PERSON or cosine_similarity(view, views[best]) >= SAME_MOMENT
    } | {best}
