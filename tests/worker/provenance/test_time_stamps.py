"""Time-stamps of a real authority: put into files after signing, and checked by c2pa-rs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.material import SAMPLES
from tests.worker.provenance.time_stamp_authority import SmallAuthority, small_authority
from worker.provenance.credentials import read_credentials
from worker.provenance.manifest import Claim, SignedFile, Stamp, sign
from worker.provenance.time_stamps.authority import TimeStampAuthority
from worker.provenance.time_stamps.token_in_manifest import stamped_message, with_token
from worker.provenance.trust_store import TrustStore

TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tiff": "image/tiff",
    ".mp4": "video/mp4",
    ".bmp": "image/bmp",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallAuthority]:
    with small_authority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> TrustStore:
    store = TrustStore(tmp_path_factory.mktemp("data") / "trust")
    store.prepare()
    return store


def signed(keys: TrustStore, folder: Path, suffix: str, stamp: Stamp) -> tuple[Path, SignedFile]:
    unsigned = folder / f"unsigned{suffix}"
    if suffix == ".mp4":
        unsigned.write_bytes((SAMPLES / "solo_720p30.mp4").read_bytes())
    else:
        Image.open(SAMPLES / "ben_neutral.jpg").save(unsigned)

    signer = keys.signer()
    path = folder / f"signed{suffix}"
    outcome = sign(
        unsigned,
        path,
        TYPES[suffix],
        Claim(job="job_1", pack="open@1", version="1"),
        chain=signer.chain,
        sign_claim=signer.sign,
        original=(SAMPLES / "ben_neutral.jpg", "image/jpeg"),
        stamp=stamp,
    )
    return path if outcome.embedded else unsigned, outcome


@pytest.mark.parametrize("suffix", TYPES)
def test_a_file_of_every_format_carries_the_authoritys_time(
    keys: TrustStore, tmp_path: Path, authority: SmallAuthority, suffix: str
) -> None:
    path, outcome = signed(keys, tmp_path, suffix, TimeStampAuthority(authority.url).token)
    assert outcome.is_stamped
    with path.open("rb") as file:
        manifest = None if outcome.embedded else outcome.manifest
        seen = read_credentials(file, TYPES[suffix], [*keys.anchors(), authority.root], manifest)

    assert seen.state == "trusted"
    assert seen.problems == ()
    assert seen.issued_on


def test_an_authority_that_is_away_or_answers_nonsense_is_asked_three_times(
    keys: TrustStore, tmp_path: Path, authority: SmallAuthority
) -> None:
    authority.asked = 0
    authority.broken = b"no time-stamp"
    try:
        path, outcome = signed(keys, tmp_path, ".jpg", TimeStampAuthority(authority.url).token)
    finally:
        authority.broken = None

    assert (authority.asked, outcome.is_stamped) == (3, False)
    with path.open("rb") as file:
        seen = read_credentials(file, "image/jpeg", keys.anchors())
    assert (seen.state, seen.issued_on) == ("trusted", "")
    assert TimeStampAuthority("http://127.0.0.1:9/").token(b"message") is None


def test_an_answer_to_another_question_is_refused(authority: SmallAuthority) -> None:
    client = TimeStampAuthority(authority.url)
    assert client.token(b"one") is not None
    authority.broken = (authority.folder / "reply").read_bytes()
    try:
        assert client.token(b"two") is None
    finally:
        authority.broken = None


def test_a_token_that_does_not_fit_is_left_out(keys: TrustStore, tmp_path: Path) -> None:
    _, outcome = signed(keys, tmp_path, ".jpg", lambda message: b"x" * 11_000)
    assert not outcome.is_stamped
    assert stamped_message(b"no manifest at all") is None
    assert with_token(b"no manifest at all", b"token") is None
