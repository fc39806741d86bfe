from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import pytest
import torch

from models.export.official_pack import arcface_of, conditioner_and_idn, import_official
from models.inference.engine import FaceSwapEngine
from models.inference.options import FaceSelector
from models.inference.session import SessionFactory
from models.inference.swapping.selection import Assignment
from models.networks.iim import one_identity
from models.packs.doctor import examine
from models.packs.errors import CheckpointError, PackMissingError
from models.packs.pull import manifest_text
from models.packs.store import Pack
from tests.material import SAMPLES
from tests.models.export.synthetic_checkpoints import (
    ARCFACE,
    CONDITIONER,
    manifest_for,
    pickled,
    synthetic,
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar laid out as the released one."""
    folder = tmp_path_factory.mktemp("released")
    (folder / "MobileFaceSwap_224.pdparams").write_bytes(pickled(synthetic(CONDITIONER)))
    (folder / "arcface.pdparams").write_bytes(pickled(synthetic(ARCFACE)))

    with tarfile.open(folder / "checkpoints.tar", "w") as tar:
        for path in folder.glob("*.pdparams"):
            tar.add(path, f"checkpoints/{path.name}")

    return folder


@pytest.fixture
def root(tmp_path: Path, open_pack: Pack) -> Path:
    (tmp_path / "open").symlink_to(open_pack.root)
    return tmp_path


@pytest.fixture(scope="module")
def manifest(checkpoints: Path) -> str:
    return manifest_for({path.name: path.read_bytes() for path in checkpoints.glob("*.pdparams")})


def test_import_from_the_tar_gives_a_pack_that_computes_what_the_checkpoints_say(
    checkpoints: Path, manifest: str, root: Path
) -> None:
    told: list[str] = []
    pack = import_official(
        checkpoints / "checkpoints.tar", root, manifest=manifest, report=told.append
    )
    assert pack.manifest.notice in told
    assert "research only" in pack.manifest.notice
    assert [finding for finding in examine(pack, SessionFactory()) if finding.problem] == []

    crop = torch.rand(1, 3, 112, 112)
    conditioner, idn = conditioner_and_idn(synthetic(CONDITIONER))

    with torch.no_grad():
        feature_map, embedding = arcface_of(synthetic(ARCFACE))(crop)
        weights = one_identity(conditioner(feature_map, embedding), 0)
        target = torch.rand(1, 3, 224, 224)
        face, mask = idn(target, weights)

    sessions = SessionFactory()
    encoded = sessions.open(pack.graph("encoder"))(crop.numpy())
    generated = sessions.open(pack.graph("iim"))(encoded["feature_map"], encoded["embedding"])
    swapped = sessions.open_specialised(pack.graph("idn"), generated)(target.numpy())
    assert abs(swapped["face"] - face.numpy()).max() < 1e-4
    assert abs(swapped["mask"] - mask.numpy()).max() < 1e-4

    engine = FaceSwapEngine.load(pack, device="cpu")
    registration = engine.register([cv2.imread(str(SAMPLES / "ada_neutral.jpg"))])
    identity = engine.identity("ada", registration.code, engine.specialise(registration.code))
    outcome = engine.swap_frame(
        cv2.imread(str(SAMPLES / "ben_neutral.jpg")), [Assignment(FaceSelector(), identity)]
    )
    assert registration.code.feature_map is not None
    assert registration.code.texture is None
    assert [face.identity_key for face in outcome.faces] == ["ada"]


def test_released_hashes_are_demanded_unless_told_otherwise(checkpoints: Path, root: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"holds no MobileFaceSwap_224\.pdparams of 82,834,948 bytes"
    ):
        import_official(checkpoints, root, report=lambda _: None)

    assert "ee51a18684d2862363deefde14220d7e7eb33b78b5b1840e1a76566a7f3508fb" in manifest_text(
        "official"
    )
    assert not (root / "official").exists()


def test_one_flipped_byte_installs_nothing(
    checkpoints: Path, manifest: str, root: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    data = bytearray((checkpoints / "MobileFaceSwap_224.pdparams").read_bytes())
    data[len(data) // 2] ^= 1
    (damaged / "MobileFaceSwap_224.pdparams").write_bytes(data)

    with pytest.raises(CheckpointError, match="SHA-256"):
        import_official(damaged, root, manifest=manifest, report=lambda _: None)

    assert sorted(path.name for path in root.iterdir()) == ["damaged", "open"]


def test_needs_the_open_pack_for_detection(
    checkpoints: Path, manifest: str, tmp_path: Path
) -> None:
    with pytest.raises(PackMissingError, match="pull open"):
        import_official(checkpoints, tmp_path, manifest=manifest, report=lambda _: None)
