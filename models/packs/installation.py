"""Putting a pack's files in place: at once or not at all, readable to every user."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.packs.errors import PackError
from models.packs.integrity import write_sums
from models.packs.manifest import Manifest
from models.packs.store import MANIFEST, digest_of

# A pack holds no secret, and in a container the user who installs it (root, at build) is not the
# one who runs it: everybody may read it, whatever the installer's umask says.
DIRECTORY_MODE = 0o755
FILE_MODE = 0o644


@contextmanager
def new_installation(manifest_text: str, root: Path) -> Iterator[Path]:
    """Yield an empty directory to fill with a pack's files; on success it becomes the pack, at once
    or not at all.

    The pack lives in `<name>@<digest>`; its name is a link, swapped in one step. The version before
    it stays, since running processes may still open its graphs; older ones are removed. Raises
    `PackError` when nothing can be written below `root`.
    """
    name = Manifest.parse(manifest_text).name
    digest = digest_of(manifest_text)
    staging = _staging_directory(name, root)

    try:
        yield staging
        (staging / MANIFEST).write_text(manifest_text)
        write_sums(staging, Manifest.parse(manifest_text))
        _open_to_all(staging)
        final = root / f"{name}@{digest[:12]}"

        # The same version may be there and damaged, which is why it is installed again.
        if final.exists():
            shutil.rmtree(final)

        # Until here nothing of the pack could be seen; `rename` is one step for the file system.
        staging.rename(final)
        before = (root / name).resolve()
        _point(root / name, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)

    # Older versions than the one before: whoever still runs on those was started two updates ago.
    for old in root.glob(f"{name}@*"):
        if old.resolve() not in (final.resolve(), before):
            shutil.rmtree(old)


def _staging_directory(name: str, root: Path) -> Path:
    """Return a new directory in `root`, which is made if it is not there."""
    try:
        if not root.exists():
            root.mkdir(parents=True)
            root.chmod(DIRECTORY_MODE)
        return Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
    except OSError as error:
        raise PackError(
            f"packs cannot be installed in {root}: {error.strerror}; choose a directory this user"
            " may write with --root or LIKENESS_PACKS_DIR"
        ) from error


def _open_to_all(folder: Path) -> None:
    folder.chmod(DIRECTORY_MODE)
    for file in folder.iterdir():
        file.chmod(FILE_MODE)


# A link cannot be replaced in one step, but a file of any kind can be renamed over it.
def _point(name: Path, folder: Path) -> None:
    link = name.with_name(f".{name.name}-{os.getpid()}")
    link.symlink_to(folder.name)
    os.replace(link, name)
