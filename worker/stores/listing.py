"""Pages of a tenant's jobs or identities, newest first; the ids in an index sort by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from redis import Redis

from worker.stores.connection import reaching, texts

Item = TypeVar("Item")

# Records that one page of a filtered listing may cost.
LOOKED_AT = 2000
BATCH = 100  # ids a step: a page of the default 50 and a filter that drops half take one step


def newest_first(redis: Redis, index: str, cursor: str | None) -> Iterator[Sequence[str]]:
    """Yield the ids of a sorted set in batches, newest first, beginning after `cursor`."""
    upper = f"({cursor}" if cursor else "+"

    while True:
        with reaching():
            ids = texts(redis.zrevrangebylex(index, upper, "-", start=0, num=BATCH))

        yield ids
        # A full batch may be the last one too; then the next is empty, which costs one look.
        if len(ids) < BATCH:
            return

        upper = f"({ids[-1]}"


def take_page(
    rows: Iterable[tuple[str, Item | None]], limit: int, most_rows: int
) -> tuple[list[Item], str | None]:
    """Return up to `limit` items and the cursor of the next page, None after the last one.

    Rows are ids with their item, or with None where a filter drops it. A page may be short, even
    empty, before the last one: no more than `most_rows` are looked at, because a filter that
    matches little must not read everything.
    """
    page: list[Item] = []
    last_id = ""

    for looked_at, (row_id, item) in enumerate(rows, 1):
        if item is not None and len(page) == limit:
            return page, last_id
        if item is not None:
            page.append(item)
            last_id = row_id
        if looked_at == most_rows:
            return page, row_id

    return page, None
