"""Compares faces with the never-swap list, and notes each hit in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Literal

from worker.blocklist.entries import BlocklistStore
from worker.blocklist.records import BlockedFace, Face
from worker.blocklist.reviews import ReviewStore
from worker.stores.audit_log import AuditLog

# Cosines of the open pack's encoder, over 283 pairs of one person in two photographs and 79,806 of
# two people (`make bar BAR=T-12`): .70 misses 11.3 % and takes one pair of two people in 11,000 for
# one; .60 misses 2.1 % and takes one in 1,300.
BLOCKED_AT = 0.70
REVIEW_AT = 0.60

Verdict = Literal["allowed", "review", "blocked"]
Place = Literal["registration", "source", "target"]


@dataclass(frozen=True)
class Case:
    """Whose faces are compared, and in what: `content` is the SHA-256 of the files.

    `subject` is the job's id, or "" at a registration, which has no id yet.
    """

    tenant: str
    actor: str
    place: Place
    content: str
    pack: str
    subject: str = ""


@dataclass(frozen=True)
class Decision:
    """What follows for a case; `review_id` names what an operator may release."""

    verdict: Verdict
    review_id: str = ""


ALLOWED = Decision("allowed")


@dataclass(frozen=True)
class Screening:
    """The list, the cases and the audit trail of one installation."""

    entries: BlocklistStore
    reviews: ReviewStore
    audit: AuditLog

    def is_needed(self, version: bytes) -> bool:
        """Return whether anybody is on this version of the list."""
        return bool(self.entries.faces(version))

    def decide(self, case: Case, faces: Sequence[Face]) -> Decision:
        """Return whether these faces may be used.

        A face like an entry is blocked. One that may be is for an operator to decide, except that
        of an identity in use (`source`), which was decided about when it was registered.
        """
        pack = case.pack.partition("@")[0]
        listed = [blocked for blocked in self.entries.faces() if blocked.pack == pack]
        matches = [match for face in faces for match in _matches(face, listed)]

        blocked = [entry_id for entry_id, cosine in matches if cosine >= BLOCKED_AT]
        if blocked:
            self._note(case, blocked[0], "blocked")
            return Decision("blocked")

        unsure = [] if case.place == "source" else [entry_id for entry_id, _ in matches]
        for entry_id in unsure:
            review = self.reviews.open(case.tenant, entry_id, case.content)
            if review.released_at is None:
                self._note(case, entry_id, "review", review=review.id)
                return Decision("review", review.id)

        return ALLOWED

    def _note(self, case: Case, entry_id: str, verdict: Verdict, **more: str) -> None:
        self.audit.append(
            "blocklist.hit",
            case.tenant,
            case.actor,
            case.subject,
            entry=entry_id,
            verdict=verdict,
            place=case.place,
            **more,
        )


def _matches(face: Face, listed: Sequence[BlockedFace]) -> list[tuple[str, float]]:
    """Return the entries that a face resembles and its cosines with them, the best first."""
    found = [
        (blocked.entry_id, cosine)
        for blocked in listed
        if (cosine := cosine_of(face, blocked.face)) >= REVIEW_AT
    ]
    return sorted(found, key=lambda match: -match[1])


def cosine_of(one: Face, other: Face) -> float:
    """Return the cosine of two embeddings of unit length; raises ValueError for two lengths."""
    if len(one) != len(other):
        raise ValueError("embeddings of two encoders cannot be compared")
    return float(sum(map(mul, one, other)))
