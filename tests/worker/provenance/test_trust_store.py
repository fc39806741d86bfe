"""Keys of an installation: made once, private, renewed, replaceable."""

from __future__ import annotations

import datetime
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from worker.errors import SigningFailed, TrustKeyBroken
from worker.provenance.key_files import MOST_MARK_KEYS
from worker.provenance.manifest import try_out
from worker.provenance.trust_store import TrustStore


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    keys = TrustStore(tmp_path / "trust")
    keys.prepare()
    return keys


def leaf(store: TrustStore) -> x509.Certificate:
    return x509.load_pem_x509_certificate(store.signer().chain.encode())


def test_only_the_owner_can_read_the_keys(store: TrustStore) -> None:
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()}
    assert modes == {0o600}


def test_a_second_start_keeps_the_keys(store: TrustStore) -> None:
    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    store.prepare()
    assert {path.name: path.read_bytes() for path in store.directory.iterdir()} == before


def test_a_certificate_is_renewed_thirty_days_before_it_ends(store: TrustStore) -> None:
    first = leaf(store)
    root = store.anchors()
    store.prepare(first.not_valid_after_utc - datetime.timedelta(days=31))
    assert leaf(store) == first
    store.prepare(first.not_valid_after_utc - datetime.timedelta(days=29))
    assert leaf(store).not_valid_after_utc > first.not_valid_after_utc
    assert store.anchors() == root


def test_rotated_mark_keys_can_still_be_read(store: TrustStore) -> None:
    first = store.mark_keys.newest_first()
    store.mark_keys.rotate()
    assert store.mark_keys.newest_first()[1:] == first
    assert store.mark_keys.newest_first()[0] != first[0]


def test_a_job_keeps_the_key_of_its_time(store: TrustStore) -> None:
    first = store.mark_keys.newest_first()[0]
    store.mark_keys.rotate(now=1000.0)
    second = store.mark_keys.newest_first()[0]
    assert store.mark_keys.at(999.0) == first
    assert store.mark_keys.at(1000.0) == second


def test_rotations_at_once_lose_no_key(store: TrustStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.mark_keys.rotate(), range(8)))
    assert len(set(store.mark_keys.newest_first())) == 9


def test_mark_keys_are_bounded(store: TrustStore) -> None:
    for _ in range(MOST_MARK_KEYS - 1):
        store.mark_keys.rotate()
    with pytest.raises(TrustKeyBroken, match="oldest"):
        store.mark_keys.rotate()


def test_what_was_signed_with_an_earlier_certificate_is_still_ours(store: TrustStore) -> None:
    message = b"head"
    signature = store.signer().sign(message)
    store.prepare(leaf(store).not_valid_after_utc - datetime.timedelta(days=1))
    assert not store.signer().verify(message, signature)
    assert store.is_signed(message, signature)
    assert not store.is_signed(b"other", signature)


def test_an_operators_chain_must_fit_its_key_and_be_able_to_sign(
    store: TrustStore, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = TrustStore(tmp_path / "other" / "trust")
    other.prepare()
    theirs = other.directory / "chain.pem"
    with pytest.raises(TrustKeyBroken, match="does not belong"):
        TrustStore(store.directory, theirs, store.directory / "signing.key").signer()

    signer = TrustStore(store.directory, theirs, other.directory / "signing.key").signer()
    try_out(signer.chain, signer.sign)
    with pytest.raises(SigningFailed):
        try_out(signer.chain, lambda claim: b"no signature" * 6)


def test_broken_keys_are_told_and_not_replaced(store: TrustStore) -> None:
    (store.directory / "mark.key").write_text("short\n")
    with pytest.raises(TrustKeyBroken, match=r"mark\.key"):
        store.mark_keys.newest_first()

    store.prepare()
    assert (store.directory / "mark.key").read_text() == "short\n"

    (store.directory / "signing.key").write_text("no key")
    with pytest.raises(TrustKeyBroken, match="signing certificate"):
        store.signer()
