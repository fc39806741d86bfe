"""Refined weights belong to a pack: an update of the pack has them trained again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Worker

from worker.composition import Stores, open_stores
from worker.settings import WorkerSettings
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.jobs.job_queue import rq_queue

EARLIER = "open@0123456789ab"
LATER = "open@ba9876543210"


@pytest.fixture
def stores(store: Redis, store_url: str, tmp_path: Path) -> Stores:
    return open_stores(WorkerSettings(redis_url=store_url, data_dir=tmp_path))


@pytest.fixture
def refining(store: Redis) -> Iterator[None]:
    """Hold a worker registered on the queue `refine`."""
    worker = Worker([rq_queue("refine", store)], connection=store)
    worker.register_birth()
    yield
    worker.register_death()


@pytest.fixture
def refined(stores: Stores) -> str:
    """Return the id of an identity that was refined for the earlier pack."""
    record = IdentityRecord(new_id("idn"), "acme", EARLIER, 0.0)
    stores.identities.put(record, b"code", b"weights")
    stores.identities.put_refined(record.id, EARLIER, b"refined", {"status": "succeeded"})
    return record.id


def updated(stores: Stores, identity_id: str) -> IdentityRecord:
    """Use an identity with the later pack."""
    built = stores.identities.weights_or_build(identity_id, LATER, lambda code: b"new " + code)
    assert built == b"new code"
    return stores.identities.get(identity_id)


@pytest.mark.usefixtures("refining")
def test_an_update_of_the_pack_has_an_identity_refined_again(stores: Stores, refined: str) -> None:
    record = updated(stores, refined)
    assert record.quality == "instant"
    assert record.refinement is not None
    job = stores.jobs.get(str(record.refinement["job_id"]))
    assert (job.payload.kind, job.tenant, job.payload.identities()) == (
        "refine",
        "acme",
        frozenset({refined}),
    )

    # Once for each update, however often the weights are derived until it is done.
    stores.jobs.redis.delete(f"lk:weights:{refined}:{LATER}")
    assert updated(stores, refined).refinement == record.refinement


def test_without_a_worker_that_refines_the_identity_says_that_it_is_outdated(
    stores: Stores, refined: str
) -> None:
    assert updated(stores, refined).refinement == {"status": "outdated"}
