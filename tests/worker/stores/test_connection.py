"""What the store must be, and what happens when it is full or away."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.store_server import StoreServer
from tests.worker.workers import eventually
from worker.contract.jobs import JobResult
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import StoreFull, StoreUnavailable, StoreUnsuitable
from worker.stores.connection import connect, require_suitable
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore

ANALYSIS = JobRequest(JobPayload(kind="analysis", tenant="acme"))


def free_port() -> int:
    """Return a port that nobody listens on; a cluster also takes the one 10,000 above."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return 20_000 + int(server.getsockname()[1]) % 20_000


def own_url(client: Redis) -> str:
    return f"unix://{client.connection_pool.connection_kwargs['path']}"


def _follows(primary: Redis) -> bool:
    replica = primary.info("replication").get("slave0", {})
    return bool(replica.get("state") == "online")


@pytest.fixture
def own(own_store_server: StoreServer) -> Iterator[Redis]:
    with connect(own_store_server.url) as redis:
        yield redis


def test_a_store_that_evicts_any_key_is_refused(own: Redis) -> None:
    require_suitable(own)
    own.config_set("maxmemory-policy", "volatile-lru")
    require_suitable(own)
    own.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(StoreUnsuitable, match="noeviction"):
        require_suitable(own)


def test_nothing_is_acknowledged_before_the_replicas_have_it(own: Redis) -> None:
    own.config_set("bind", "127.0.0.1")
    own.config_set("port", str(port := free_port()))

    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        replica = StoreServer(Path(directory), {"replicaof": f"127.0.0.1 {port}"})
        replica.start()

        with connect(own_url(own), replicas=1) as redis:
            eventually(lambda: _follows(own), 30, "the replica's first copy")
            job = JobStore(redis).admit(ANALYSIS).job

            with Redis.from_url(replica.url) as copy:
                assert copy.keys(f"*{job.id}*")

            replica.kill()
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
                JobStore(redis).admit(ANALYSIS)


def test_a_cluster_is_refused_at_start() -> None:
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        server = StoreServer(
            Path(directory),
            {"cluster-enabled": "yes", "bind": "127.0.0.1", "port": str(free_port())},
        )
        server.start()

        try:
            with (
                connect(server.url) as redis,
                pytest.raises(StoreUnsuitable, match="cluster mode disabled"),
            ):
                require_suitable(redis)
        finally:
            server.kill()


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreUnsuitable):
        connect("http://localhost")


def test_a_store_that_is_away_is_said_to_be(own: Redis, own_store_server: StoreServer) -> None:
    jobs = JobStore(own)
    job = jobs.admit(ANALYSIS).job
    own_store_server.kill()

    with pytest.raises(StoreUnavailable):
        jobs.admit(ANALYSIS)

    own_store_server.start()
    assert jobs.get(job.id) == job


def test_a_store_that_takes_no_writes_is_said_to_be_away(own: Redis) -> None:
    jobs = JobStore(own)
    job = jobs.admit(ANALYSIS).job
    own.replicaof("127.0.0.1", 1)  # the server refuses writes as it does when its disk is full

    with pytest.raises(StoreUnavailable):
        jobs.admit(ANALYSIS)

    assert jobs.get(job.id) == job
    own.replicaof("NO", "ONE")
    assert jobs.admit(ANALYSIS)


def test_what_was_accepted_survives_the_stores_kill(
    own: Redis, own_store_server: StoreServer
) -> None:
    jobs = JobStore(own)
    accepted = [jobs.admit(ANALYSIS).job.id for _ in range(20)]
    own_store_server.kill()
    own_store_server.start()
    assert [jobs.get(job_id).status for job_id in accepted] == ["queued"] * 20
    assert own.zcard("lk:jobs:active") == 20


def test_a_full_store_refuses_new_jobs_and_lets_running_ones_end(own: Redis) -> None:
    jobs = JobStore(own)
    attempts = JobAttempts(jobs)
    job = jobs.admit(ANALYSIS).job
    (task,) = attempts.deliver("video")
    own.config_set("maxmemory", int(own.info("memory")["used_memory"]))

    with pytest.raises(StoreFull):
        jobs.admit(ANALYSIS)

    attempts.begin(task, "w1")
    attempts.progress(task, 1, 2, "frame")
    attempts.commit(task, JobResult("00" * 32, 1, "image/png", ".png"), JobReport({}, {}))
    assert jobs.get(job.id).status == "succeeded"
    own.config_set("maxmemory", 0)
    assert jobs.admit(ANALYSIS).job.status == "queued"
    assert own.info("stats")["evicted_keys"] == 0
