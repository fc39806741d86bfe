"""Faces that resemble somebody on the never-swap list, until an operator has looked.

A case is one tenant's files (by their hash) beside one entry. It holds no image and no embedding.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from redis import Redis

from worker.errors import UnknownReview
from worker.stores.connection import Reply, as_hash, reaching, text_fields, texts
from worker.stores.keys import REVIEW, REVIEWS

# A case that nobody has decided in a month, and a release that nobody has used, end.
KEPT_S = 30 * 86_400
# Clients make cases; of more than these the oldest are forgotten.
MOST_REVIEWS = 1000

# Made from a hash, so that the same files lead to the same case.
_ID = re.compile(r"rev_[0-9a-f]{32}")


@dataclass(frozen=True)
class Review:
    """One case. `content` is the SHA-256 of the files; times are seconds since the epoch."""

    id: str
    tenant: str
    entry_id: str
    content: str
    created_at: float
    released_at: float | None = None
    released_by: str = ""


class ReviewStore:
    """Cases of one installation."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock

    def open(self, tenant: str, entry_id: str, content: str) -> Review:
        """Return the case of these files, which is new where there was none."""
        review_id = _id_of(tenant, entry_id, content)
        try:
            return self.get(review_id)
        except UnknownReview:
            pass

        review = Review(review_id, tenant, entry_id, content, created_at=self._clock())
        self._write(review)
        return review

    def get(self, review_id: str) -> Review:
        """Return a case; raises UnknownReview."""
        # Becomes a key of the store: nothing else may.
        if not _ID.fullmatch(review_id):
            raise UnknownReview
        with reaching():
            fields = text_fields(self._redis.hgetall(REVIEW(review_id)))

        if not fields:
            raise UnknownReview

        return _review(fields)

    def newest_first(self) -> list[Review]:
        """Return all cases, newest first."""
        with reaching():
            ids = texts(self._redis.zrevrange(REVIEWS(), 0, -1))

        found = []
        for review_id in ids:
            try:
                found.append(self.get(review_id))
            except UnknownReview:
                # Records end by themselves; the index learns of it when somebody lists.
                with reaching():
                    self._redis.zrem(REVIEWS(), review_id)

        return found

    def release(self, review_id: str, released_by: str) -> Review:
        """Let these files pass this entry for a month; raises UnknownReview."""
        review = replace(self.get(review_id), released_at=self._clock(), released_by=released_by)
        self._write(review)
        return review

    def _write(self, review: Review) -> None:
        key = REVIEW(review.id)
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(key, mapping=as_hash(_to_fields(review)))
            pipeline.expire(key, KEPT_S)
            pipeline.zadd(REVIEWS(), {review.id: review.created_at})
            pipeline.zremrangebyrank(REVIEWS(), 0, -MOST_REVIEWS - 1)
            pipeline.execute()


def _id_of(tenant: str, entry_id: str, content: str) -> str:
    facts = "\n".join((tenant, entry_id, content))
    return f"rev_{hashlib.sha256(facts.encode()).hexdigest()[:32]}"


def _to_fields(review: Review) -> dict[str, str]:
    return {
        "id": review.id,
        "tenant": review.tenant,
        "entry_id": review.entry_id,
        "content": review.content,
        "created_at": repr(review.created_at),
        "released_at": repr(review.released_at) if review.released_at else "",
        "released_by": review.released_by,
    }


def _review(fields: Mapping[str, str]) -> Review:
    released: Reply = fields["released_at"]
    return Review(
        id=fields["id"],
        tenant=fields["tenant"],
        entry_id=fields["entry_id"],
        content=fields["content"],
        created_at=float(fields["created_at"]),
        released_at=float(released) if released else None,
        released_by=fields["released_by"],
    )
