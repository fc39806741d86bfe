"""What the store counts for all processes: ends of jobs, times of their stages, cache hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from redis import Redis

from worker.stores.connection import reaching, text_fields
from worker.stores.keys import STAGES, STATS

# Upper bounds, from an image in a warm worker to a long video; the script that ends a job counts
# into the first one that holds.
BUCKETS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000)


@dataclass(frozen=True)
class StageTime:
    """How long the jobs of a kind have taken in one stage, all together.

    `within` says how many took no longer than each of `BUCKETS_MS`.
    """

    kind: str
    stage: str
    count: int
    total_ms: float
    within: tuple[int, ...]


class Statistics:
    """Counters since the store was new; most are raised by the scripts that end a job."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def count(self, event: str) -> None:
        """Count an event."""
        with reaching():
            self._redis.hincrby(STATS(), event, 1)

    def counters(self) -> dict[str, int]:
        """Return the counters by name, in the order of their names."""
        with reaching():
            counters = text_fields(self._redis.hgetall(STATS()))
        return {name: int(count) for name, count in sorted(counters.items())}

    def stage_times(self) -> list[StageTime]:
        """Return the stages' times by kind and stage."""
        with reaching():
            fields = text_fields(self._redis.hgetall(STAGES()))

        stages = sorted(name.removesuffix(":count") for name in fields if name.endswith(":count"))
        return [_stage_time(name, fields) for name in stages]


def _stage_time(name: str, fields: Mapping[str, str]) -> StageTime:
    kind, _, stage = name.partition(":")
    counts = (int(fields.get(f"{name}:{bound}", 0)) for bound in BUCKETS_MS)

    return StageTime(
        kind=kind,
        stage=stage,
        count=int(fields[f"{name}:count"]),
        total_ms=float(fields[f"{name}:sum"]),
        within=tuple(accumulate(counts)),
    )
