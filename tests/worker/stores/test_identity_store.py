"""Identities: the durable code, the bounded cache of weights, erasure down to the store's file."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from tests.conftest import StoreServer
from tests.vaults import vault_of
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import IdentityErased, UnknownIdentity
from worker.stores.erasure import LogRewriter
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityLimits, IdentityStore
from worker.stores.identities.identity_vault import folder_of
from worker.stores.identities.weight_store import DIGEST_BYTES
from worker.stores.ids import new_id
from worker.stores.jobs.job_store import JobStore

PACK = "open@0123456789ab"


def put(
    identities: IdentityStore,
    weights: bytes = b"w" * 100,
    tenant: str = "acme",
    code: bytes = b"code",
) -> str:
    record = IdentityRecord(
        new_id("idn"), tenant, PACK, time.time(), name="ada", consent={"subject": "ada"}
    )
    identities.put(record, code, weights)
    return record.id


def test_an_identity_is_kept_for_its_tenant_alone(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    record = identities.get(identity, "acme")
    assert (record.name, record.consent, record.cached) == ("ada", {"subject": "ada"}, True)
    assert identities.code(identity) == b"code"
    assert identities.weights(identity, PACK) == b"w" * 100

    for wanted, tenant in ((identity, "rival"), (new_id("idn"), "acme"), ("idn_*", "acme")):
        with pytest.raises(UnknownIdentity):
            identities.get(wanted, tenant)


def test_identities_are_listed_newest_first_in_pages(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    ids = []

    for moment in range(3):
        record = IdentityRecord(new_id("idn", 1_800_000_000.0 + moment), "acme", PACK, 0.0)
        identities.put(record, b"c", b"w")
        ids.append(record.id)

    first, cursor = identities.list("acme", limit=2)
    second, end = identities.list("acme", limit=2, cursor=cursor)
    assert [record.id for record in (*first, *second)] == ids[::-1]
    assert end is None
    store.delete(f"lk:identity:{ids[1]}")  # as when it is erased while the list is being made
    assert [record.id for record in identities.list("acme")[0]] == [ids[2], ids[0]]


def test_the_cache_makes_room_by_dropping_what_was_used_longest_ago(store: Redis) -> None:
    now = 1_800_000_000.0
    identities = IdentityStore(
        store,
        vault_of(store),
        IdentityLimits(weights_bytes=3 * (100 + DIGEST_BYTES) + 50),
        clock=lambda: now,
    )
    first = put(identities)
    now += 1
    second = put(identities)
    now += 1
    third = put(identities)
    now += 1
    identities.weights(first, PACK)
    now += 1
    fourth = put(identities)
    kept = [
        identity
        for identity in (first, second, third, fourth)
        if identities.weights(identity, PACK)
    ]

    assert kept == [first, third, fourth]
    assert store.get("lk:weights:bytes") == b"396"
    assert not identities.put_weights(first, PACK, b"w" * 500)


def test_the_cache_stays_within_its_bound_for_thousands_of_identities(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store), IdentityLimits(weights_bytes=100_000))
    for _ in range(300):
        put(identities, weights=b"w" * (1000 - DIGEST_BYTES))

    stored = sum(
        store.strlen(key) for key in store.scan_iter("lk:weights:idn_*") if b":lock" not in key
    )
    assert stored == 100_000
    assert store.get("lk:weights:bytes") == b"100000"


def test_lost_weights_are_built_once_by_one_of_many(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    store.delete(f"lk:weights:{identity}:{PACK}")
    builds = []
    guard = threading.Lock()

    def build(code: bytes) -> bytes:
        with guard:
            builds.append(code)

        time.sleep(0.2)
        return b"rebuilt"

    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: identities.weights_or_build(identity, PACK, build), range(8))
        )

    assert found == [b"rebuilt"] * 8
    assert builds == [b"code"]


def flip_a_bit(store: Redis, key: str) -> None:
    kept = store.get(key)
    assert isinstance(kept, bytes)
    store.set(key, kept[:-1] + bytes([kept[-1] ^ 1]))


def test_corrupt_weights_are_rebuilt_from_the_code(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    flip_a_bit(store, f"lk:weights:{identity}:{PACK}")
    assert identities.weights(identity, PACK) is None
    assert identities.weights_or_build(identity, PACK, lambda code: b"from " + code) == b"from code"
    assert identities.weights(identity, PACK) == b"from code"
    assert store.hget("lk:stats", "weights:corrupt") == b"2"


def folder(store: Redis, identity: str) -> Path:
    """Where what is sealed of an identity lies."""
    socket = Path(store.connection_pool.connection_kwargs["path"])
    return socket.parent / "media" / folder_of(identity)


def test_what_is_sealed_of_a_face_cannot_be_read_without_its_record(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    marker = b"marker-of-a-face"
    identity = put(identities, code=marker)
    identities.put_refined(identity, PACK, marker, {"status": "succeeded"})
    sealed = [file.read_bytes() for file in folder(store, identity).iterdir()]
    assert len(sealed) == 2
    assert not any(marker in content for content in sealed)

    # Refined again: what was before goes, and what lies there is what the record names.
    identities.put_refined(identity, PACK, b"better", {"status": "succeeded"})
    store.delete(f"lk:weights:{identity}:{PACK}")
    assert identities.weights(identity, PACK) == b"better"
    assert len(list(folder(store, identity).iterdir())) == 2

    identities.erase(identity)
    assert not folder(store, identity).exists()


def test_derived_weights_that_come_late_do_not_hide_refined_ones(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    identities.put_refined(identity, PACK, b"refined", {"status": "succeeded"})
    assert not identities.put_weights(identity, PACK, b"derived")
    assert identities.weights(identity, PACK) == b"refined"


def test_corrupt_refined_weights_give_way_to_derived_ones(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities, weights=b"derived")
    identities.put_refined(identity, PACK, b"refined", {"status": "succeeded"})
    assert identities.weights(identity, PACK) == b"refined"
    flip_a_bit(
        store, f"lk:weights:{identity}:{PACK}"
    )  # the cache's, while the sealed ones are whole
    assert identities.weights(identity, PACK) == b"refined"

    store.delete(f"lk:weights:{identity}:{PACK}")
    (sealed,) = folder(store, identity).glob("refined-*")
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"?")
    assert identities.weights(identity, PACK) is None
    record = identities.get(identity)
    assert (record.quality, record.refinement) == ("instant", {"status": "lost"})


def test_an_erased_identity_is_gone_and_its_jobs_are_named(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    jobs = JobStore(store)
    identity = put(identities)
    payload = JobPayload(
        kind="swap_image", tenant="acme", assignments=(Assignment(identity_id=identity),)
    )
    job = jobs.admit(JobRequest(payload)).job
    assert identities.get(identity).uses == 1
    receipt = identities.erase(identity, "acme")
    assert list(receipt.jobs) == [job.id]
    assert receipt.log_rewritten_at is None

    for call in (identities.get, identities.code):
        with pytest.raises(IdentityErased):
            call(identity, "acme")
        with pytest.raises(UnknownIdentity):
            call(identity, "rival")

    assert not identities.put_weights(identity, PACK, b"late")
    assert not [key for key in store.keys(f"*{identity}*") if not key.startswith(b"lk:erased")]
    assert store.get("lk:weights:bytes") == b"0"

    with pytest.raises(IdentityErased):
        jobs.admit(JobRequest(payload))


def test_after_an_erasure_the_stores_file_is_rewritten(own_store_server: StoreServer) -> None:
    now = time.time()
    with Redis.from_url(own_store_server.url) as redis:
        identities = IdentityStore(redis, vault_of(redis), clock=lambda: now)
        rewriter = LogRewriter(redis, clock=lambda: now)
        marker = b"marker-of-a-face"
        identity = put(identities, code=marker, weights=marker)
        identities.erase(identity)
        assert any(
            marker in file.read_bytes() for file in own_store_server.directory.rglob("*.aof")
        )
        deadline = time.monotonic() + 20

        while identities.receipt(identity, "acme").log_rewritten_at is None:
            assert time.monotonic() < deadline
            now += 3
            rewriter.run()
            time.sleep(0.1)

        held = [
            file
            for file in own_store_server.directory.rglob("*")
            if file.is_file() and marker in file.read_bytes()
        ]
        assert held == []


def test_a_store_without_a_log_claims_no_rewrite(own_store_server: StoreServer) -> None:
    now = time.time()
    with Redis.from_url(own_store_server.url) as redis:
        redis.config_set("appendonly", "no")
        identities = IdentityStore(redis, vault_of(redis), clock=lambda: now)
        identity = put(identities)
        identities.erase(identity)
        rewriter = LogRewriter(redis, clock=lambda: now)
        for _ in range(5):
            now += 60
            rewriter.run()

        assert identities.receipt(identity, "acme").log_rewritten_at is None
