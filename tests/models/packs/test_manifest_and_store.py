from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from models.packs.errors import (
    FetchError,
    PackBrokenError,
    PackError,
    PackMissingError,
    PackUnreadableError,
)
from models.packs.installation import new_installation
from models.packs.manifest import Manifest, ManifestError
from models.packs.pull import MANIFESTS, manifest_text
from models.packs.store import digest_of, installed_packs, load_pack

OPEN = manifest_text("open")


def install(root: Path, text: str = OPEN) -> None:
    with new_installation(text, root) as folder:
        for file in Manifest.parse(text).files:
            (folder / file.file).write_bytes(file.file.encode())


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be no administrator, whom the file system forbids nothing."""
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(10001)
    try:
        yield
    finally:
        if administrator:
            os.seteuid(0)


@pytest.mark.parametrize("name", ["open", "official"])
def test_every_file_states_its_origin_licence_and_hash(name: str) -> None:
    manifest = Manifest.parse(manifest_text(name))
    assert {file.role for file in manifest.files} >= {
        "detector_short",
        "detector_full",
        "face_mesh",
        "encoder",
        "iim",
        "idn",
    }

    for file in manifest.files:
        assert file.origin
        assert file.licence
        assert len(file.sha256) == 64


def test_committed_files_are_those_the_manifest_pins() -> None:
    for file in Manifest.parse(OPEN).files:
        if not file.archive:
            data = (MANIFESTS / "open" / file.file).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file.sha256, file.file


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not toml [",
        OPEN.replace("alignment", "aligment", 1),
        OPEN.replace("inputs = 6", ""),
        OPEN + "\nsurplus = 1\n",
    ],
)
def test_manifest_with_a_missing_or_unknown_field_is_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(text)


def test_installed_pack_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    install(tmp_path)
    pack = load_pack("open", tmp_path)
    assert pack.id == f"open@{digest_of(OPEN)[:12]}"
    assert load_pack(str(pack.root), Path("/nowhere")) == pack
    assert pack.graph("idn").read_bytes() == b"idn.onnx"
    assert [p.id for p in installed_packs(tmp_path)] == [pack.id]


def test_every_user_may_read_a_pack_whatever_the_installers_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install(tmp_path / "packs")
    finally:
        os.umask(before)

    root = tmp_path / "packs"
    folder = load_pack("open", root).root
    assert [path.stat().st_mode & 0o777 for path in (root, folder)] == [0o755, 0o755]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("closed", ["", "pack.toml", "iim.onnx"])
def test_pack_that_this_user_may_not_read_is_not_called_missing(
    tmp_path: Path, closed: str
) -> None:
    root = tmp_path / "packs"
    install(root)
    tmp_path.parent.parent.chmod(0o755)  # pytest's own directories are its user's alone
    tmp_path.parent.chmod(0o755)
    tmp_path.chmod(0o755)
    target = load_pack("open", root).root / closed
    target.chmod(0)

    try:
        with ordinary_user():
            for look in (lambda: load_pack("open", root), lambda: installed_packs(root)):
                with pytest.raises(PackUnreadableError, match=r"a\+rX"):
                    look()
    finally:
        target.chmod(0o755)


def test_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PackError, match="--root"):
        install(tmp_path / "file" / "packs")


def test_update_replaces_the_pack_at_once(tmp_path: Path) -> None:
    install(tmp_path)
    install(tmp_path, OPEN + "\n# newer\n")
    assert load_pack("open", tmp_path).digest == digest_of(OPEN + "\n# newer\n")


def test_failed_installation_leaves_the_old_pack_and_nothing_else(tmp_path: Path) -> None:
    install(tmp_path)
    with pytest.raises(OSError, match="disk"), new_installation(OPEN + "\n# newer\n", tmp_path):
        raise OSError("disk is full")

    assert load_pack("open", tmp_path).digest == digest_of(OPEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "open",
        f"open@{digest_of(OPEN)[:12]}",
    ]


def test_missing_and_broken_packs_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PackMissingError, match="likeness packs pull open"):
        load_pack("open", tmp_path)

    install(tmp_path)
    (tmp_path / "open" / "iim.onnx").unlink()

    with pytest.raises(PackBrokenError, match=r"lacks iim\.onnx"):
        load_pack("open", tmp_path)

    with pytest.raises(FetchError, match="known are: official, open"):
        manifest_text("closed")


def test_pack_without_a_mean_centres_nothing(tmp_path: Path) -> None:
    official = manifest_text("official")
    install(tmp_path, official)
    np.testing.assert_array_equal(
        load_pack("official", tmp_path).embedding_mean(), np.zeros(512, np.float32)
    )


def test_the_version_before_an_update_stays_for_who_still_runs_it(tmp_path: Path) -> None:
    texts = [f"{OPEN}\n# {version}\n" for version in ("first", "second", "third")]
    for text in texts:
        install(tmp_path, text)

    kept = {folder.name for folder in tmp_path.glob("open@*")}
    assert kept == {f"open@{digest_of(text)[:12]}" for text in texts[1:]}
    assert load_pack("open", tmp_path).digest == digest_of(texts[-1])
