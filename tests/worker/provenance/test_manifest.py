"""C2PA manifests: valid to two independent readers, and free of people."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import encypher_c2pa
import pytest
from PIL import Image

from tests.material import SAMPLES
from worker.provenance.credentials import Credentials, read_credentials
from worker.provenance.manifest import Claim, SignedFile, sign
from worker.provenance.trust_store import TrustStore

CLAIM = Claim(
    job="job_1",
    pack="open@1",
    version="0.1.0",
    consent_receipts=["ab" * 32],
    mark_id=0xCAFE,
    faces=[(10, 20, 30, 40)],
)
EMBEDDED = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".apng": "image/apng",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
}
BESIDE = {".bmp": "image/bmp", ".mkv": "video/x-matroska"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> TrustStore:
    store = TrustStore(tmp_path_factory.mktemp("data") / "trust")
    store.prepare()
    return store


def unsigned(folder: Path, suffix: str) -> Path:
    path = folder / f"unsigned{suffix}"
    if suffix in (".mp4", ".mkv"):
        source = ["-f", "lavfi", "-i", "testsrc=duration=1:size=320x240"]
        subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True, timeout=60)
    elif suffix == ".apng":
        frames = [Image.open(SAMPLES / f"ben_{look}.jpg") for look in ("neutral", "smile")]
        frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])
    else:
        image = cv2.imread(str(SAMPLES / "ben_neutral.jpg"))
        assert image is not None
        cv2.imwrite(str(path), image)

    return path


def signed(
    keys: TrustStore, folder: Path, suffix: str, original: Path | None = None
) -> tuple[Path, SignedFile]:
    signer = keys.signer()
    path = folder / f"signed{suffix}"
    source = unsigned(folder, suffix)
    outcome = sign(
        source,
        path,
        (EMBEDDED | BESIDE)[suffix],
        CLAIM,
        chain=signer.chain,
        sign_claim=signer.sign,
        original=(original or SAMPLES / "ben_neutral.jpg", "image/jpeg"),
    )

    return path if outcome.embedded else source, outcome


def read(path: Path, anchors: list[str], manifest: bytes | None = None) -> Credentials:
    with path.open("rb") as file:
        return read_credentials(file, (EMBEDDED | BESIDE)[path.suffix], anchors, manifest)


@pytest.mark.parametrize("suffix", EMBEDDED)
def test_embedded_manifests_are_trusted_with_our_root_and_valid_without(
    keys: TrustStore, tmp_path: Path, suffix: str
) -> None:
    path, _ = signed(keys, tmp_path, suffix)
    assert read(path, keys.anchors()).state == "trusted"
    assert read(path, []).state == "valid"
    # The other reader goes by the name, and does not know APNG's.
    other = path.rename(path.with_suffix(suffix.replace("apng", "png")))
    assert encypher_c2pa.verify(str(other))["integrity"] == "valid"


@pytest.mark.parametrize("suffix", BESIDE)
def test_detached_manifests_leave_the_file_as_it_is(
    keys: TrustStore, tmp_path: Path, suffix: str
) -> None:
    path, outcome = signed(keys, tmp_path, suffix)
    assert not outcome.embedded
    assert path == tmp_path / f"unsigned{suffix}"
    assert not (tmp_path / f"signed{suffix}").exists()
    assert read(path, keys.anchors(), outcome.manifest).state == "trusted"


@pytest.mark.parametrize("suffix", EMBEDDED)
def test_a_changed_byte_makes_a_file_invalid(keys: TrustStore, tmp_path: Path, suffix: str) -> None:
    path, _ = signed(keys, tmp_path, suffix)
    data = bytearray(path.read_bytes())
    content = (tmp_path / f"unsigned{suffix}").read_bytes()[-200:-100]
    data[data.find(content) + 50] ^= 1
    path.write_bytes(data)
    assert read(path, keys.anchors()).state == "invalid"


def test_a_manifest_names_no_person_and_no_file(keys: TrustStore, tmp_path: Path) -> None:
    original = tmp_path / "Our_Summer_Holiday.jpg"
    original.write_bytes((SAMPLES / "ben_neutral.jpg").read_bytes())
    path, outcome = signed(keys, tmp_path, ".jpg", original)
    assert b"Our_Summer_Holiday" not in path.read_bytes()
    assert b"humbnail" not in outcome.manifest
    assert len(outcome.manifest) < 20_000


def test_credentials_of_the_original_become_an_ingredient(keys: TrustStore, tmp_path: Path) -> None:
    first, _ = signed(keys, tmp_path, ".jpg")
    (tmp_path / "again").mkdir()
    second, _ = signed(keys, tmp_path / "again", ".jpg", first)
    credentials = read(second, keys.anchors())
    assert credentials.state == "trusted"
    assert credentials.ingredients == 1
    assert second.stat().st_size > first.stat().st_size


def test_the_claim_says_what_was_done(keys: TrustStore, tmp_path: Path) -> None:
    path, _ = signed(keys, tmp_path, ".png")
    credentials = read(path, keys.anchors())
    assert credentials.actions == ("c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound")
    assert credentials.swap == {
        "job": "job_1",
        "pack": "open@1",
        "consent_receipts": ["ab" * 32],
        "mark": "lk1",
    }


def test_files_without_credentials_are_told_apart_from_damaged_ones(tmp_path: Path) -> None:
    assert read(unsigned(tmp_path, ".jpg"), []).state == "absent"
    noise = tmp_path / "noise.png"
    noise.write_bytes(b"no image at all")
    assert read(noise, []).state in ("absent", "invalid")
