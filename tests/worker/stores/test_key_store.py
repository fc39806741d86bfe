"""API keys and ids."""

from __future__ import annotations

import pytest
from redis import Redis

from worker.errors import KeyRefused, UnknownKey
from worker.stores.ids import is_id, new_id
from worker.stores.key_store import KeyStore


def test_a_key_is_known_by_its_token_and_stored_without_it(store: Redis) -> None:
    keys = KeyStore(store)
    key, token = keys.create("acme", ["jobs:read"], name="ci")
    assert keys.verify(token) == key
    secret = token.split("_")[2]
    stored = b"".join(
        value for name in store.keys("lk:key:*") for value in store.hgetall(name).values()
    )
    assert secret.encode() not in stored
    assert bytes.fromhex(secret) not in stored


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t: "lk_0_0",
        lambda t: "",
        str.upper,
    ],
)
def test_a_token_that_is_not_exactly_right_is_refused(store: Redis, spoil: object) -> None:
    keys = KeyStore(store)
    _, token = keys.create("acme", ["jobs:read"])
    with pytest.raises(KeyRefused):
        keys.verify(spoil(token))  # type: ignore[operator]


def test_revoked_expired_and_rotated_keys_end(store: Redis) -> None:
    now = 1_800_000_000.0
    keys = KeyStore(store, clock=lambda: now)
    revoked, revoked_token = keys.create("acme", ["admin"])
    _, dated_token = keys.create("acme", ["admin"], expires_at=now + 60)
    old, old_token = keys.create("acme", ["admin"])
    keys.revoke(revoked.id)
    _, new_token = keys.rotate(old.id, overlap_s=60)

    with pytest.raises(KeyRefused):
        keys.verify(revoked_token)

    assert (
        keys.verify(old_token).tenant
        == keys.verify(new_token).tenant
        == keys.verify(dated_token).tenant
    )

    now += 61
    for token in (old_token, dated_token):
        with pytest.raises(KeyRefused):
            keys.verify(token)

    assert keys.verify(new_token)
    with pytest.raises(UnknownKey):
        keys.revoke(old.id, tenant="rival")


def test_rotating_brings_no_ended_key_back(store: Redis) -> None:
    now = 1_800_000_000.0
    keys = KeyStore(store, clock=lambda: now)
    leaked, leaked_token = keys.create("acme", ["admin"])
    keys.revoke(leaked.id)

    with pytest.raises(UnknownKey):
        keys.rotate(leaked.id, overlap_s=3600)

    assert keys.revoke(leaked.id, after_s=3600).revoked_at == now
    with pytest.raises(KeyRefused):
        keys.verify(leaked_token)

    now += 1
    again, _ = keys.create("acme", ["admin"])
    keys.rotate(again.id, overlap_s=3600)
    assert keys.revoke(again.id, after_s=7200).revoked_at == now + 3600
    assert keys.revoke(again.id).revoked_at == now


def test_ids_sort_by_time_and_know_their_kind() -> None:
    ids = [new_id("job", 1_800_000_000.0 + moment / 1000) for moment in range(100)]
    assert ids == sorted(ids)
    assert all(is_id(made, "job") and not is_id(made, "upl") and len(made) == 30 for made in ids)
    assert len({new_id("job", 0.0) for _ in range(1000)}) == 1000
