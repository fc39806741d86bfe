"""Who is blocked, who is for an operator to decide, and what the trail says of it."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest
from redis import Redis

from tests.worker.blocklist.test_entries import KEY, a_face, an_entry
from worker.blocklist.entries import BlocklistStore
from worker.blocklist.records import Face
from worker.blocklist.reviews import ReviewStore
from worker.blocklist.screening import ALLOWED, Case, Screening
from worker.stores.audit_log import AuditLog

CASE = Case("acme", "key-1", "registration", "0" * 64, "open@0123")


@pytest.fixture
def screening(store: Redis) -> Screening:
    made = Screening(BlocklistStore(store, KEY), ReviewStore(store), AuditLog(store))
    made.entries.add(an_entry(), a_face())
    return made


def like(cosine: float) -> Face:
    """Return a face with this cosine to the one on the list."""
    face = array("f", bytes(4 * 128))
    face[0] = cosine
    face[1] = (1 - cosine * cosine) ** 0.5
    return face


def test_a_like_face_is_blocked_and_an_unlike_one_allowed(screening: Screening) -> None:
    assert screening.decide(CASE, [like(0.71)]).verdict == "blocked"
    assert screening.decide(CASE, [like(0.59)]) == ALLOWED
    assert screening.decide(CASE, [like(0.1), like(0.95)]).verdict == "blocked"


def test_between_the_thresholds_an_operator_decides_about_these_files_alone(
    screening: Screening,
) -> None:
    decision = screening.decide(CASE, [like(0.65)])
    assert decision.verdict == "review"
    assert screening.decide(CASE, [like(0.65)]).review_id == decision.review_id

    screening.reviews.release(decision.review_id, "default/operator")
    assert screening.decide(CASE, [like(0.65)]) == ALLOWED
    others = (replace(CASE, content="1" * 64), replace(CASE, tenant="rival"))
    assert {screening.decide(case, [like(0.65)]).verdict for case in others} == {"review"}
    # A release is for a doubt: who is surely on the list stays blocked.
    assert screening.decide(CASE, [like(0.8)]).verdict == "blocked"


def test_an_identity_in_use_is_stopped_only_when_it_is_surely_listed(screening: Screening) -> None:
    case = replace(CASE, place="source", subject="job_1")
    assert screening.decide(case, [like(0.65)]) == ALLOWED
    assert screening.decide(case, [like(0.75)]).verdict == "blocked"


def test_faces_of_another_encoder_are_not_compared(screening: Screening) -> None:
    assert screening.decide(replace(CASE, pack="official@1"), [a_face(length=512)]) == ALLOWED


def test_a_hit_is_in_the_trail_without_the_face(screening: Screening) -> None:
    screening.decide(replace(CASE, subject="job_1"), [like(0.9)])
    (entry,) = screening.audit.pending()
    assert entry.body["event"] == "blocklist.hit"
    assert (entry.body["verdict"], entry.body["subject"]) == ("blocked", "job_1")
    assert set(entry.body) == {
        *("event", "tenant", "actor", "subject", "at"),
        *("entry", "verdict", "place"),
    }
