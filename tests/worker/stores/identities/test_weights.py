"""Weights of identities: the bounded cache, rebuilding, and refined ones."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from tests.vaults import vault_of
from tests.worker.stores.identities.stored import PACK, folder, put
from worker.stores.identities.identity_store import IdentityLimits, IdentityStore
from worker.stores.identities.weight_store import DIGEST_BYTES


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


def test_an_update_of_the_pack_leaves_refined_weights_behind_and_that_is_said(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    identities.put_refined(identity, PACK, b"refined", {"status": "succeeded"})
    newer = "open@ba9876543210"
    assert identities.weights_or_build(identity, newer, lambda code: b"new " + code) == b"new code"
    record = identities.get(identity)
    assert (record.quality, record.refinement) == ("instant", {"status": "outdated"})
    # Workers that still have the earlier pack go on with what was refined for it.
    assert identities.weights(identity, PACK) == b"refined"


def test_an_identity_that_was_never_refined_says_nothing_of_an_update(store: Redis) -> None:
    identities = IdentityStore(store, vault_of(store))
    identity = put(identities)
    before = identities.get(identity)
    identities.weights_or_build(identity, "open@ba9876543210", lambda code: b"new " + code)
    assert identities.get(identity).refinement == before.refinement
