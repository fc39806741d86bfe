"""Waiting for jobs: one blocked read of the job's event stream per waiter, and no thread."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

from prometheus_client import Gauge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from service.protocol.key_watch import KeyWatch
from service.protocol.problems import ServiceError
from worker.stores.addresses import sentinel_address
from worker.stores.connection import Reply
from worker.stores.jobs.job_reader import ask_job
from worker.stores.keys import JOB_EVENTS

Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]

_EVENT_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_EVENT_ID_BOUND = 1 << 64  # of either number of a stream's id
_SLICE_S = 1.0  # a waiter looks this often whether the service is draining
BEGINNING = "0-0"


@dataclass(frozen=True)
class JobEvent:
    """One entry of a job's stream: its id resumes after it; `data` is JSON.

    `record` is the job's hash, where it was asked for.
    """

    id: str
    type: str
    data: str
    record: Reply = None


class JobEvents:
    """Streams of job events, for at most `max_waiters` at a time."""

    def __init__(self, url: str, max_waiters: int, gauge: Gauge, watch: KeyWatch) -> None:
        self._redis = _client(url, max_waiters)
        self._max_waiters = max_waiters
        self._waiting = Counter[str]()  # by tenant
        self._gauge = gauge
        self._watch = watch
        self._draining = asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether the service is about to stop."""
        return self._draining.is_set()

    def drain(self) -> None:
        """End every wait within a second: the service is about to stop."""
        self._draining.set()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    @contextmanager
    def waiter(self, tenant: str) -> Iterator[None]:
        """Take one of the places for waiters; raises too_many_waiters when none is free.

        Half of them is the most that one tenant gets, so that the others can wait as well.
        """
        # No lock: nothing is awaited between the count and the increment.
        taken = self._waiting.total()
        if taken >= self._max_waiters or 2 * self._waiting[tenant] >= max(2, self._max_waiters):
            raise ServiceError("too_many_waiters")

        self._waiting[tenant] += 1
        self._gauge.set(taken + 1)

        try:
            yield
        finally:
            self._waiting[tenant] -= 1
            self._waiting += Counter()  # drops tenants that do not wait any more
            self._gauge.set(self._waiting.total())

    async def follow(
        self, job_id: str, after: str, timeout_s: float, key_id: str, with_record: bool = False
    ) -> AsyncIterator[JobEvent]:
        """Yield the job's events after the one with id `after`, until `completed`, the time-out or
        the drain; raises unauthorized when the key of the caller ends meanwhile.

        The job's record comes along if it is asked for, as it is when the event has been read.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (left_s := deadline - asyncio.get_running_loop().time()) > 0 and not self.draining:
            if not await self._watch.is_active(key_id):
                raise ServiceError("unauthorized", "The key was revoked or has expired")
            # In slices of a second, so that a drain or a revoked key ends the longest wait soon.
            block_s = min(left_s, _SLICE_S)
            for event in await self._read(job_id, after, block_s, with_record):
                yield event
                if event.type == "completed":
                    return

                after = event.id

    async def last_id(self, job_id: str) -> str:
        """Return the id of the job's newest event."""
        try:
            newest = cast(Entries, await self._redis.xrevrange(JOB_EVENTS(job_id), count=1))
        except RedisError as error:
            raise ServiceError("store_unavailable") from error

        return newest[0][0].decode() if newest else BEGINNING

    async def _read(
        self, job_id: str, after: str, block_s: float, with_record: bool
    ) -> list[JobEvent]:
        try:
            async with self._redis.pipeline(transaction=False) as together:
                together.xread(
                    # A page of a long job's history; the loop comes back for the rest.
                    {JOB_EVENTS(job_id): after},
                    count=200,
                    block=max(1, int(block_s * 1000)),
                )
                # The server goes on to it when the wait is over: no round trip of its own.
                if with_record:
                    ask_job(job_id, together)

                streams, *records = await together.execute()
        except RedisError as error:
            raise ServiceError("store_unavailable") from error

        entries = streams[0][1] if streams else []
        return [
            JobEvent(
                id=entry_id.decode(),
                type=fields[b"type"].decode(),
                data=fields[b"data"].decode(),
                record=records[0] if records else None,
            )
            for entry_id, fields in entries
        ]


def _client(url: str, max_waiters: int) -> Redis:
    timeout_s = _SLICE_S + 5  # a read blocks for up to a slice
    if (sentinels := sentinel_address(url)) is not None:
        # Its pool refuses where the other one waits: twice the waiters' connections, so that
        # looking up a stream's end never finds it empty.
        return sentinels.async_client(timeout_s, max_connections=2 * max_waiters)

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_waiters,
        socket_connect_timeout=5,
        socket_timeout=timeout_s,
        protocol=2,
    )
    return Redis.from_pool(pool)


def checked_event_id(text: str) -> str:
    """Return a Last-Event-ID that the store can take; raises invalid_parameter."""
    # The store answers a malformed id with an error, which would read as its failure.
    if not _EVENT_ID.fullmatch(text) or max(place_of(text)) >= _EVENT_ID_BOUND:
        raise ServiceError("invalid_parameter", "Last-Event-ID is not an id of this stream")
    return text


def place_of(event_id: str) -> tuple[int, int]:
    """Return an event id as numbers, which sort as the events do."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)
