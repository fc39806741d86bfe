"""Which person gets which identity, decided once per person and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.inference.arrays import Box, Embedding
from models.inference.finding.face_detector import overlap
from models.inference.finding.identity_encoder import likeness
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity

MIN_BOX_OVERLAP = 0.3
LIKE_REFERENCE = 0.3  # cosine: the reference may be years older than the film


@dataclass(frozen=True)
class Assignment:
    """Which faces become whom."""

    selector: FaceSelector
    identity: Identity


@dataclass(frozen=True)
class Candidate:
    """Someone in view: `embedding` is only computed for selectors that need it."""

    person_id: str
    box: Box
    eye_px: float
    embedding: Callable[[], Embedding]


@dataclass
class Selection:
    """Remembers who was chosen: a selector that means one person means the same person to the
    end.
    """

    assignments: Sequence[Assignment]
    _chosen: dict[int, str] = field(default_factory=dict, init=False)
    _refused: set[tuple[int, str]] = field(default_factory=set, init=False)

    def choose(self, in_view: Sequence[Candidate]) -> dict[str, Identity]:
        """Return person_id -> identity for the people in view, left to right.

        The first assignment that fits wins.
        """
        identities: dict[str, Identity] = {}
        for index, assignment in enumerate(self.assignments):
            for person_id in self._selected(index, assignment.selector, in_view):
                identities.setdefault(person_id, assignment.identity)
        return identities

    def _selected(
        self, index: int, selector: FaceSelector, in_view: Sequence[Candidate]
    ) -> list[str]:
        if selector.kind == "all":
            return [candidate.person_id for candidate in in_view]
        if selector.kind == "person":
            return [selector.person_id]
        if index not in self._chosen:
            found = self._find(index, selector, in_view)
            if found is not None:
                self._chosen[index] = found.person_id
        return [self._chosen[index]] if index in self._chosen else []

    def _find(
        self, index: int, selector: FaceSelector, in_view: Sequence[Candidate]
    ) -> Candidate | None:
        if not in_view:
            return None
        if selector.kind == "index":
            return in_view[selector.index] if selector.index < len(in_view) else None
        if selector.kind == "box":
            best = max(in_view, key=lambda candidate: overlap(candidate.box, selector.box))
            return best if overlap(best.box, selector.box) >= MIN_BOX_OVERLAP else None
        if selector.kind == "reference":
            return self._most_alike(index, selector, in_view)
        return max(in_view, key=lambda candidate: candidate.eye_px)

    def _most_alike(
        self, index: int, selector: FaceSelector, in_view: Sequence[Candidate]
    ) -> Candidate | None:
        """Each person is asked for an embedding once, not in every frame."""
        assert selector.reference is not None  # noqa: S101  the edge validates it
        unknown = [
            candidate for candidate in in_view if (index, candidate.person_id) not in self._refused
        ]
        alike = {
            candidate: likeness(candidate.embedding(), selector.reference) for candidate in unknown
        }
        self._refused |= {(index, candidate.person_id) for candidate in unknown}
        best = max(alike, key=lambda candidate: alike[candidate], default=None)
        return best if best is not None and alike[best] >= LIKE_REFERENCE else None
