"""Keys of an installation: made once, private, renewed, replaceable."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509

from worker.errors import TrustKeyBroken
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
    first = store.mark_keys()
    store.rotate_mark_key()
    assert store.mark_keys()[1:] == first
    assert store.mark_keys()[0] != first[0]


def test_broken_keys_are_told_and_not_replaced(store: TrustStore) -> None:
    (store.directory / "mark.key").write_text("short\n")
    with pytest.raises(TrustKeyBroken, match=r"mark\.key"):
        store.mark_keys()

    store.prepare()
    assert (store.directory / "mark.key").read_text() == "short\n"

    (store.directory / "signing.key").write_text("no key")
    with pytest.raises(TrustKeyBroken, match="signing certificate"):
        store.signer()
