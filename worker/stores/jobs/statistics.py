"""What the store counts for all processes: ends of jobs, times of their stages, cache hits."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from worker.stores.connection import reaching, text_fields
from worker.stores.keys import STAGES, STATS


@dataclass(frozen=True)
class StageTime:
    """How long the jobs of a kind have taken in one stage, all together."""

    kind: str
    stage: str
    count: int
    total_ms: float


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
        """Return the stages' times by kind and stage; the store keeps a sum and a count of each."""
        with reaching():
            fields = text_fields(self._redis.hgetall(STAGES()))

        stages = sorted(name.removesuffix(":count") for name in fields if name.endswith(":count"))
        return [
            StageTime(
                kind=name.split(":")[0],
                stage=name.split(":")[1],
                count=int(fields[f"{name}:count"]),
                total_ms=float(fields[f"{name}:sum"]),
            )
            for name in stages
        ]
