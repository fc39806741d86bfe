"""Whether the files of an installed pack are still the bytes that were installed.

The manifest names the SHA-256 of what is fetched; converted graphs are made here, so an
installation notes the digests of all its files beside them, in the format of `sha256sum`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from models.packs.errors import PackBrokenError
from models.packs.manifest import Manifest
from models.packs.store import Pack

SUMS = "SHA256SUMS"


def write_sums(folder: Path, manifest: Manifest) -> None:
    """Note the digests of a pack's files, which have just been made."""
    lines = (f"{_digest(folder / file.file)}  {file.file}\n" for file in manifest.files)
    (folder / SUMS).write_text("".join(lines))


def known_digests(pack: Pack) -> Mapping[str, str]:
    """Return SHA-256 (hex) by file name.

    Packs that were installed before digests were noted have only those of unconverted files.
    """
    # Converted graphs come out differently with other versions of the converter: noted, not pinned.
    known = {file.file: file.sha256 for file in pack.manifest.files if not file.converter}
    sums = pack.root / SUMS
    noted = sums.read_text().splitlines() if sums.is_file() else []

    # What the manifest pins counts for more than what was noted beside it: the note could be
    # forged.
    return {name: digest for digest, name in (line.split("  ", 1) for line in noted)} | known


def corrupt_files(pack: Pack) -> list[str]:
    """Return the files whose bytes are not those that were installed."""
    return [
        name for name, digest in known_digests(pack).items() if _digest(pack.root / name) != digest
    ]


def require_intact(pack: Pack) -> Pack:
    """Return the pack if its files are what was installed; raises PackBrokenError.

    Reads all of it once, which takes about 0.1 s for the 33 MB of the open pack.
    """
    # Refused rather than repaired: what is damaged may have been so for a while, and somebody
    # should know.
    if corrupt := corrupt_files(pack):
        raise PackBrokenError(
            f"pack {pack.name} is damaged ({', '.join(corrupt)}); run: likeness packs pull"
            f" {pack.name}"
        )

    return pack


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
