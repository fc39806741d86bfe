"""A store whose primary dies: Sentinels name another one, which has all that was acknowledged."""

from __future__ import annotations

import asyncio

import pytest

from tests.worker.stores.sentinel_group import SentinelGroup, sentinel_group
from tests.worker.workers import eventually
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import StoreUnavailable, StoreUnsuitable
from worker.stores.addresses import sentinel_address
from worker.stores.connection import connect, require_suitable
from worker.stores.jobs.job_store import JobStore

ANALYSIS = JobRequest(JobPayload(kind="analysis", tenant="acme"))


def test_an_address_names_sentinels_primary_and_passwords() -> None:
    address = sentinel_address(
        "rediss+sentinel://api:p%40ss@one:1,two,[::1]:3/likeness?sentinel_password=s"
    )
    assert address.hosts == (("one", 1), ("two", 26379), ("::1", 3))
    assert (address.primary, address.tls) == ("likeness", True)
    assert address.credentials == {"username": "api", "password": "p@ss"}
    assert address.sentinel_credentials == {"password": "s"}
    assert "p@ss" not in repr(address)


def test_the_address_of_a_server_names_no_sentinels() -> None:
    assert sentinel_address("redis://localhost:6379/0") is None


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://one:1,two:2", "redis+sentinel:///likeness", "redis+sentinel://one:x/a"],
)
def test_an_address_without_primary_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(StoreUnsuitable):
        connect(url)


def test_sentinels_that_are_away_are_said_to_be() -> None:
    with (
        connect("redis+sentinel://127.0.0.1:1,127.0.0.1:2/likeness") as redis,
        pytest.raises(StoreUnavailable),
    ):
        require_suitable(redis)


def test_what_was_acknowledged_outlives_the_primary_whose_replicas_lag() -> None:
    with sentinel_group() as group, connect(group.url, replicas=1) as redis:
        require_suitable(redis)
        jobs = JobStore(redis)
        acknowledged = [jobs.admit(ANALYSIS).job.id for _ in range(5)]

        group.lag(4.0, 4.0)
        with pytest.raises(StoreUnavailable):  # nobody else has it yet, so nobody is told
            jobs.admit(ANALYSIS)

        group.kill_primary()
        eventually(lambda: _accepts(jobs, acknowledged), 20, "a new primary")
        assert [jobs.get(job_id).id for job_id in acknowledged] == acknowledged
        asyncio.run(_reads_the_new_primary(group, acknowledged[-1]))


def _accepts(jobs: JobStore, acknowledged: list[str]) -> bool:
    try:
        acknowledged.append(jobs.admit(ANALYSIS).job.id)
    except StoreUnavailable:
        return False
    return True


async def _reads_the_new_primary(group: SentinelGroup, job_id: str) -> None:
    address = sentinel_address(group.url)
    async with address.async_client(5.0, max_connections=2) as client:
        assert await client.exists(f"lk:job:{job_id}")
