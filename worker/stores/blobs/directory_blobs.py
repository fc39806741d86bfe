"""Bytes in one directory, which every host of the installation mounts.

Directories are 0700, files 0600. A file gets its name only once it is complete and on the disk.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from worker.stores.blobs.blobs import Name
from worker.stores.blobs.durable_files import (
    link,
    open_private,
    replace_file,
    sync_directory,
    writing,
)

# Made at the start: whether they are there tells a lost volume from a missing file.
FOLDERS = ("uploads", "partials", "jobs", "identities", "provenance")


class DirectoryBlobs:
    """Implements `Blobs` on a file system."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self._clock = clock
        self._places = (root, *(root / folder for folder in FOLDERS))

        for place in self._places:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def require_suitable(self) -> None:
        """Accept any file system: ours is the only name for a file, and unlinking removes it."""

    def is_usable(self) -> bool:
        """Return whether the directories are there and can be written to."""
        return all(os.access(place, os.W_OK | os.X_OK) for place in self._places)

    def put(self, file: Path, name: Name) -> None:
        """Move the file, which is on the same file system, to its name."""
        target = self.path(name)
        with writing():
            self._make_folder(target.parent)
            os.replace(file, target)
            # A rename outlives a power cut only once its directory is on the disk.
            sync_directory(target.parent)

    def create(self, name: Name, content: bytes) -> bool:
        """Keep a few bytes under a name that nobody has; whoever comes second is told so."""
        target = self.path(name)
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.{time.monotonic_ns()}.new")

        with writing():
            self._make_folder(target.parent)
            with open_private(unfinished) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                # Unlike a rename, a link fails when the name is taken: whoever comes first wins.
                os.link(unfinished, target)
                sync_directory(target.parent)
            except FileExistsError:
                return False
            finally:
                unfinished.unlink(missing_ok=True)

        return True

    def write(self, name: Name, content: bytes) -> None:
        """Put a file into the place of one that may be there; a crash leaves one of the two."""
        target = self.path(name)
        with writing():
            self._make_folder(target.parent)
            replace_file(target, content)

    def read(self, name: Name) -> bytes:
        """Return all bytes."""
        return self.path(name).read_bytes()

    def open(self, name: Name) -> BinaryIO:
        """Open the file itself."""
        return self.path(name).open("rb")

    def open_file(self, name: Name) -> BinaryIO:
        """Open the file itself."""
        return self.open(name)

    def bring(self, name: Name, place: Path) -> None:
        """Link the file."""
        link(self.path(name), place)

    def exists(self, name: Name) -> bool:
        """Return whether the file is there."""
        return self.path(name).is_file()

    def delete(self, name: Name) -> None:
        """Unlink the file."""
        self.path(name).unlink(missing_ok=True)

    def delete_all(self, folder: Name) -> None:
        """Remove the directory."""
        shutil.rmtree(self.path(folder), ignore_errors=True)

    def put_url(self, name: Name, for_s: float) -> str | None:  # noqa: ARG002 - as `Blobs` has it
        """Return None: nothing but this service writes to the directory."""
        return None

    def older(self, folder: Name, age_s: float) -> Iterator[Name]:
        """Yield names of old files; directories that are as old and empty go meanwhile."""
        before = self._clock() - age_s
        for place, _, files in os.walk(self.path(folder), topdown=False):
            directory = Path(place)
            for file in files:
                if _modified_at(directory / file) < before:
                    yield str((directory / file).relative_to(self.root))

            if directory != self.path(folder) and _modified_at(directory) < before:
                _remove_if_empty(directory)

    def tidy(self) -> None:
        """There are no copies."""

    def path(self, name: Name) -> Path:
        """Return where a name's file is."""
        return self.root / name

    def _make_folder(self, folder: Path) -> None:
        # Those made at the start are not made again: what hid an unmounted volume is not filled.
        missing = []
        while folder not in self._places:
            missing.append(folder)
            folder = folder.parent

        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)


def _modified_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")  # gone meanwhile


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return
