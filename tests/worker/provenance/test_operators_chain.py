"""An operator's own certificate: what it signs is ours, what its authority's others sign is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.provenance.operators_chain import Authority
from worker.provenance.manifest import Claim, sign, try_out
from worker.provenance.trust_store import TrustStore
from worker.video.examination import examine

PORTRAIT = Path(__file__).parents[3] / "service" / "samples" / "ben_neutral.jpg"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def signed_with(keys: TrustStore, path: Path) -> Path:
    signer = keys.signer()
    sign(
        PORTRAIT,
        path,
        "image/jpeg",
        Claim(job="job_1", pack="open@1", version="1"),
        chain=signer.chain,
        sign_claim=signer.sign,
        original=(PORTRAIT, "image/jpeg"),
    )
    return path


def state(keys: TrustStore, path: Path) -> str:
    request = {
        "keys": [],
        "anchors": keys.anchors(),
        "signers": keys.signers(),
        "public_sync": False,
    }
    with path.open("rb") as file:
        return str(examine(file, request)["c2pa"]["state"])


def brought(authority: Authority, name: str, folder: Path) -> TrustStore:
    """Return the keys of an installation whose operator brings a certificate and its key."""
    chain, key = authority.issue(name)
    return TrustStore(folder, chain, key)


def test_an_operators_certificate_is_ours_and_another_customers_is_not(
    authority: Authority, tmp_path: Path
) -> None:
    ours = brought(authority, "operator", tmp_path / "trust")
    ours.prepare()
    theirs = brought(authority, "somebody", tmp_path / "theirs")
    theirs.prepare()
    try_out(ours.signer().chain, ours.signer().sign)

    assert state(ours, signed_with(ours, tmp_path / "ours.jpg")) == "trusted"
    assert state(ours, signed_with(theirs, tmp_path / "theirs.jpg")) == "valid"


def test_what_was_signed_before_the_operator_brought_a_certificate_stays_ours(
    authority: Authority, tmp_path: Path
) -> None:
    before = TrustStore(tmp_path / "trust")
    before.prepare()
    old = signed_with(before, tmp_path / "old.jpg")

    now = brought(authority, "operator", tmp_path / "trust")
    now.prepare()
    assert state(now, old) == "trusted"
    assert state(now, signed_with(now, tmp_path / "new.jpg")) == "trusted"
    assert now.is_signed(b"head", before.signer().sign(b"head"))


def test_another_installation_of_the_same_software_is_not_ours(tmp_path: Path) -> None:
    ours = TrustStore(tmp_path / "ours")
    ours.prepare()
    theirs = TrustStore(tmp_path / "theirs")
    theirs.prepare()
    assert state(ours, signed_with(theirs, tmp_path / "theirs.jpg")) == "valid"
