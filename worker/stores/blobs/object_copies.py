"""Copies of objects as plain files, for what cannot speak to the bucket.

They are brought from a bounded cache of whole objects: the parts of a video are many, and their
input is one. What lies in the cache goes a few seconds after its last use, because what is deleted
in the bucket must not live on here.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from worker.errors import MediaUnavailable
from worker.stores.blobs.blobs import Name
from worker.stores.blobs.durable_files import noticing_full_disk, open_private
from worker.stores.blobs.object_reader import BLOCK_BYTES

# Erased media must be gone everywhere within a minute: copies go well before.
IDLE_COPY_S = 20.0


class ObjectCopies:
    """A cache that several processes of one machine share."""

    def __init__(
        self, folder: Path, bound_bytes: int, open_object: Callable[[Name], BinaryIO]
    ) -> None:
        """Keep at most `bound_bytes` in `folder`; `open_object` returns an object to read."""
        self._folder = folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bound_bytes = bound_bytes
        self._open = open_object

    def open_nameless(self, name: Name) -> BinaryIO:
        """Return a copy that has no name, so that it ends with its last user.

        Raises FileNotFoundError, DiskFull.
        """
        with noticing_full_disk():
            # The caller closes it.
            copy = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            with self._open(name) as source:
                shutil.copyfileobj(source, copy, BLOCK_BYTES)

        copy.seek(0)
        return copy

    def link(self, name: Name, place: Path) -> None:
        """Link an object's copy to `place`; it is fetched first where there is none.

        Raises FileNotFoundError, DiskFull, MediaUnavailable.
        """
        copy = self._folder / hashlib.sha256(name.encode()).hexdigest()
        for _ in range(3):  # another process may tidy between the two steps
            with noticing_full_disk():
                if not copy.exists():
                    self._fetch(name, copy)
            with suppress(FileNotFoundError):
                os.utime(copy)
                os.link(copy, place)
                return

        raise MediaUnavailable

    def tidy(self) -> None:
        """Remove copies that were not used lately."""
        before = time.time() - IDLE_COPY_S
        for entry in self._entries():
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < before:
                    os.unlink(entry)

    def _fetch(self, name: Name, copy: Path) -> None:
        with self._open(name) as source:
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
            self._make_room(size)
            unfinished = copy.with_name(f"{copy.name}.{os.getpid()}.{time.monotonic_ns()}.new")

            try:
                with open_private(unfinished) as file:
                    shutil.copyfileobj(source, file, BLOCK_BYTES)
                unfinished.replace(copy)
            finally:
                unfinished.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove the copies that were not used for longest, until another one fits the bound."""
        known = sorted((e.stat().st_mtime, e.stat().st_size, e.path) for e in self._entries())
        held = sum(bytes_ for _, bytes_, _ in known)

        for _, bytes_, path in known:
            if held + size <= self._bound_bytes:
                return
            with suppress(FileNotFoundError):
                os.unlink(path)
            held -= bytes_

    def _entries(self) -> list[os.DirEntry[str]]:
        return [entry for entry in os.scandir(self._folder) if entry.is_file()]
