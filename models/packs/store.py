"""Installed packs: a directory each, with `pack.toml` and the files it names."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.packs.errors import PackBrokenError, PackMissingError
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
        return f"{self.name}@{self.digest[:12]}"

    def graph(self, role: Role) -> Path:
        """The ONNX file of a network. Raises `PackBrokenError` when the pack has none."""
        return self._file(role)

    @property
    def canonical(self) -> Path:
        """The canonical face (npz), of packs whose swapper takes a texture.

        Raises `PackBrokenError`.
        """
        return self._file("canonical")

    def embedding_mean(self) -> NDArray[np.float32]:
        """What is subtracted from raw embeddings, float32 [D]: zeros unless the pack states a
        mean.
        """
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

    Raises `PackMissingError`, or `PackBrokenError` when a file of it is missing.
    """
    folder = Path(name_or_dir) if os.sep in name_or_dir else root / name_or_dir
    try:
        text = (folder / MANIFEST).read_text()
    except OSError as error:
        hint = f"run: python -m models pull {name_or_dir}"
        raise PackMissingError(f"pack {name_or_dir} is not installed in {root}; {hint}") from error
    try:
        manifest = Manifest.parse(text)
    except ManifestError as error:
        raise PackBrokenError(f"pack {name_or_dir} is broken: {error}") from error
    missing = [file.file for file in manifest.files if not (folder / file.file).is_file()]
    if missing:
        raise PackBrokenError(
            f"pack {name_or_dir} lacks {', '.join(missing)}; run: python -m models pull"
            f" {manifest.name}"
        )
    # An update replaces the link behind the name; who loaded the pack keeps the directory it saw.
    return Pack(manifest.name, digest_of(text), folder.resolve(), manifest)


def installed_packs(root: Path) -> list[Pack]:
    """Return the usable packs below `root`, by name."""
    names = sorted(
        path.parent.name for path in root.glob(f"*/{MANIFEST}") if "@" not in path.parent.name
    )
    return [load_pack(name, root) for name in names]


def digest_of(manifest_text: str) -> str:
    """Return the hex SHA-256 that identifies a pack by its manifest."""
    return hashlib.sha256(manifest_text.encode()).hexdigest()


@contextmanager
def new_installation(manifest_text: str, root: Path) -> Iterator[Path]:
    """Yield an empty directory to fill with a pack's files; on success it becomes the pack, at once
    or not at all.

    The pack lives in `<name>@<digest>`; its name is a link, swapped in one step. The version before
    it stays, since running processes may still open its graphs; older ones are removed.
    """
    name, digest = Manifest.parse(manifest_text).name, digest_of(manifest_text)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
    try:
        yield staging
        (staging / MANIFEST).write_text(manifest_text)
        final = root / f"{name}@{digest[:12]}"
        if final.exists():
            shutil.rmtree(final)
        staging.rename(final)
        before = (root / name).resolve()
        _point(root / name, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for old in root.glob(f"{name}@*"):
        if old.resolve() not in (final.resolve(), before):
            shutil.rmtree(old)


def _point(name: Path, folder: Path) -> None:
    link = name.with_name(f".{name.name}-{os.getpid()}")
    link.symlink_to(folder.name)
    os.replace(link, name)
