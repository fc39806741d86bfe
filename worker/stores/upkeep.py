"""What housekeeping asks the store: who leads it, and what is past its time.

Every list here is written by the step that makes a thing due, and emptied by the process
that has dealt with it, so that a crash between the two only repeats the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from redis import Redis
from redis.client import Pipeline

from worker.stores.connection import Reply, reaching, texts
from worker.stores.keys import CANCELING, DEAD, DEADLINES, EXPIRY, LEADER, LEFTOVERS, SETTLED
from worker.stores.scripts import Scripts

BATCH = 100  # jobs a round: what is left is due in the next one, a second later


class Upkeep:
    """Leadership, and the lists of what is due."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._scripts = Scripts(redis)

    def lead(self, name: str, ttl_ms: int) -> bool:
        """Become or stay the leader for `ttl_ms`; False while another leads."""
        return bool(self._scripts.run("lead", {"name": name, "ttl_ms": ttl_ms}))

    def is_led(self) -> bool:
        """Return whether a worker leads."""
        with reaching():
            return bool(self._redis.exists(LEADER()))

    # Jobs

    def past_deadline(self) -> list[str]:
        """Return jobs whose deadline has passed."""
        with reaching():
            until_ms = self._clock() * 1000
            return texts(self._redis.zrangebyscore(DEADLINES(), 0, until_ms, start=0, num=BATCH))

    def canceling_for(self, seconds: float) -> list[str]:
        """Return jobs whose cancellation was asked for so long ago, and is not done."""
        with reaching():
            return texts(self._redis.zrangebyscore(CANCELING(), 0, self._clock() - seconds))

    def canceling_since(self, job_id: str) -> float | None:
        """Return when a job's cancellation was asked for; None when it was not."""
        with reaching():
            since: Reply = self._redis.zscore(CANCELING(), job_id)
        return since if since is None else float(since)

    def leftovers(self) -> list[str]:
        """Return jobs that ended without a result while no attempt was there to remove files."""
        with reaching():
            return texts(self._redis.smembers(LEFTOVERS()))

    def cleared(self, job_id: str) -> None:
        """Note that a job's leftovers are removed."""
        with reaching():
            self._redis.srem(LEFTOVERS(), job_id)

    # Dead letters: jobs that failed in a way that may be ours to put right

    def dead_letters(self, most: int) -> list[tuple[str, float]]:
        """Return the newest dead letters and when they died."""
        with reaching():
            rows: Reply = self._redis.zrevrange(DEAD(), 0, most - 1, withscores=True)
        return [(name.decode(), died_at) for name, died_at in rows]

    def count_dead(self) -> int:
        """Return how many dead letters there are."""
        with reaching():
            return self._redis.zcard(DEAD())

    def is_dead(self, job_id: str) -> bool:
        """Return whether a job is a dead letter."""
        with reaching():
            return self._redis.zscore(DEAD(), job_id) is not None

    def forget_dead(self, job_id: str, uploads: Collection[str]) -> None:
        """Take a job from the dead letters, and let go of its input."""
        self.result_expired(job_id, (), uploads)

    # Uploads, results and identities, each at its time

    def expired(self, most: int) -> list[str]:
        """Return the ids of what has expired, longest ago first."""
        with reaching():
            return texts(self._redis.zrangebyscore(EXPIRY(), 0, self._clock(), start=0, num=most))

    def expiry_lag_s(self) -> float:
        """Return for how long the longest overdue thing has been due; 0 when nothing is."""
        with reaching():
            first: Reply = self._redis.zrange(EXPIRY(), 0, 0, withscores=True)
        return max(0.0, self._clock() - first[0][1]) if first else 0.0

    def expire_at(self, name: str, at_s: float, pipeline: Pipeline | None = None) -> None:
        """Set when something expires, within a caller's pipeline if there is one."""
        with reaching():
            (pipeline or self._redis).zadd(EXPIRY(), {name: at_s})

    def reschedule(self, name: str, at_s: float, pipeline: Pipeline) -> None:
        """Change when something expires, unless it is gone meanwhile."""
        pipeline.zadd(EXPIRY(), {name: at_s}, xx=True)

    def deleted(self, name: str) -> None:
        """Note that something expired is deleted."""
        with reaching():
            self._redis.zrem(EXPIRY(), name)

    def settled_for(self, seconds: float) -> list[str]:
        """Return jobs that ended so long ago and whose records are not packed yet."""
        with reaching():
            until = self._clock() - seconds
            return texts(self._redis.zrangebyscore(SETTLED(), 0, until, start=0, num=BATCH))

    def packed(self, job_id: str) -> None:
        """Note that a job's record needs no packing any more."""
        with reaching():
            self._redis.zrem(SETTLED(), job_id)

    def result_expired(
        self, job_id: str, identities: Collection[str], uploads: Collection[str]
    ) -> None:
        """Let a job be found no more among the dead letters, by its identities and its input."""
        arguments = {"job": job_id, "identities": sorted(identities), "uploads": sorted(uploads)}
        self._scripts.run("expire_result", arguments)
