"""Installed packs: a directory each, with `pack.toml` and the files it names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.packs.errors import (
    PackBrokenError,
    PackMissingError,
    PackUnreadableError,
)
from models.packs.manifest import Manifest, ManifestError, Role

MANIFEST = "pack.toml"


@dataclass(frozen=True)
class Pack:
    """An installed pack.

    `digest` (hex SHA-256 of its manifest, which pins every file) names what weights belong to.
    """

    name: str
    digest: str
    root: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """Name and short digest, as "open@0123456789ab": what identity codes carry."""
        # Twelve digits tell packs apart; the whole digest is what is checked.
        return f"{self.name}@{self.digest[:12]}"

    def graph(self, role: Role) -> Path:
        """Return the ONNX file of a network. Raises `PackBrokenError` when the pack has none."""
        return self._file(role)

    @property
    def canonical(self) -> Path:
        """The canonical face (npz), of packs whose swapper takes a texture.

        Raises `PackBrokenError`.
        """
        return self._file("canonical")

    @property
    def device(self) -> Path:
        """The graphs for devices (`models.device.template`). Raises `PackBrokenError`."""
        return self._file("device")

    def embedding_mean(self) -> NDArray[np.float32]:
        """Return what is subtracted from raw embeddings, float32 [D]: zeros unless the pack states
        a mean.
        """
        # The official encoder was trained without a mean to take away.
        if not self.has("embedding_mean"):
            return np.zeros(self.manifest.encoder.embedding, np.float32)

        mean: NDArray[np.float32] = np.load(self._file("embedding_mean"), allow_pickle=False)
        return mean

    def has(self, role: str) -> bool:
        """Whether the pack lists a file for this role."""
        return any(file.role == role for file in self.manifest.files)

    def _file(self, role: str) -> Path:
        for file in self.manifest.files:
            if file.role == role:
                return self.root / file.file
        raise PackBrokenError(f"pack {self.name} has no {role}")


def load_pack(name_or_dir: str, root: Path) -> Pack:
    """Return the pack called `name_or_dir` below `root`, or the one in the directory of that path.

    Raises `PackMissingError` when there is none, `PackUnreadableError` when this user may not read
    it, and `PackBrokenError` when a file of it is missing.
    """
    # A separator makes it a path, so that a pack may be tried where it was built.
    folder = Path(name_or_dir) if os.sep in name_or_dir else root / name_or_dir
    with _telling_what_keeps_us_from(name_or_dir, root):
        text = (folder / MANIFEST).read_text()

    try:
        manifest = Manifest.parse(text)
    except ManifestError as error:
        raise PackBrokenError(f"pack {name_or_dir} is broken: {error}") from error

    # Opened, not only listed: a file that this user may not read is as good as missing.
    with _telling_what_keeps_us_from(name_or_dir, root):
        missing = [file.file for file in manifest.files if not _is_readable(folder / file.file)]

    if missing:
        raise PackBrokenError(
            f"pack {name_or_dir} lacks {', '.join(missing)}; run: likeness packs pull"
            f" {manifest.name}"
        )

    # An update replaces the link behind the name; who loaded the pack keeps the directory it saw.
    return Pack(manifest.name, digest_of(text), folder.resolve(), manifest)


def installed_packs(root: Path) -> list[Pack]:
    """Return the usable packs below `root`, by name. Raises as `load_pack` does."""
    with _telling_what_keeps_us_from("", root):
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []

    # `<name>@<digest>` is what a name links to; what begins with a dot is an unfinished download.
    candidates = [name for name in names if "@" not in name and not name.startswith(".")]
    return [load_pack(name, root) for name in candidates if _holds_pack(root / name)]


def digest_of(manifest_text: str) -> str:
    """Return the hex SHA-256 that identifies a pack by its manifest."""
    # The manifest pins each file by its hash, so that its own hash stands for all of them.
    return hashlib.sha256(manifest_text.encode()).hexdigest()


@contextmanager
def _telling_what_keeps_us_from(pack: str, root: Path) -> Iterator[None]:
    """Translate what the file system says about a pack's files into errors with a remedy."""
    try:
        yield
    except PermissionError as error:
        raise PackUnreadableError(
            f"{error.filename or root} may not be read by user {os.geteuid()}: give all users read"
            f" access to the packs, as in chmod -R a+rX {root}"
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PackMissingError(
            f"pack {pack} is not installed in {root}; run: likeness packs pull {pack}"
        ) from error
    except OSError as error:
        raise PackBrokenError(f"pack {pack} in {root} cannot be read: {error}") from error


def _is_readable(file: Path) -> bool:
    """Whether the file is there. Raises `PermissionError` when it is, but not for this user."""
    try:
        with file.open("rb"):
            return True
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _holds_pack(folder: Path) -> bool:
    """Whether a manifest lies in the folder, or might: one that may not be looked into counts."""
    try:
        return (folder / MANIFEST).stat() is not None
    # It may be one: loading it then says who may not read it, and what to do.
    except PermissionError:
        return True
    except OSError:
        return False
