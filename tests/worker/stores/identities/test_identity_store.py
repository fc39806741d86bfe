"""Identities: their records, the sealed code, and erasure down to the store's file."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from tests.store_server import StoreServer
from tests.vaults import vault_of
from tests.worker.stores.identities.stored import PACK, folder, put
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import IdentityErased, UnknownIdentity
from worker.stores.erasure import LogRewriter
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.ids import new_id
from worker.stores.jobs.job_store import JobStore


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
