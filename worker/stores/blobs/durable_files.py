"""Files that only we can read, and that are whole and on the disk before they get their name."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from worker.errors import DiskFull, MediaUnavailable

# A video of gigabytes is hashed without being held.
CHUNK_BYTES = 1 << 20


def open_private(path: Path) -> BinaryIO:
    """Create a file that only we can read."""
    # O_EXCL: a name that exists already is somebody else's file.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def seal(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, once all are on the disk and only we can read them."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
        # Before the name is given: after a power cut, what has a name is whole.
        os.fsync(stream.fileno())

    file.chmod(0o600)
    return digest.hexdigest()


def sync_directory(directory: Path) -> None:
    """Make renames in a directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # A rename is an entry of its directory, which is written by itself.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(file: Path, place: Path) -> None:
    """Give a file a second name, which costs nothing, or copy it where that cannot be.

    Raises:
        FileNotFoundError, DiskFull
    """
    try:
        os.link(file, place)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links, or one that has enough of them
        with noticing_full_disk():
            shutil.copyfile(file, place)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file that only we can read; a crash leaves the old one or the new one."""
    # With the process's id: two processes may write the same file at the same time.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

    unfinished.replace(path)
    sync_directory(path.parent)


@contextmanager
def noticing_full_disk() -> Iterator[None]:
    """Translate a full disk or quota into DiskFull."""
    try:
        yield
    except OSError as error:
        # EFBIG: a process's own limit of file sizes looks like a full disk to a writer.
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull from error
        raise


@contextmanager
def writing() -> Iterator[None]:
    """Translate failures of the disk: DiskFull where it is full, else MediaUnavailable."""
    try:
        with noticing_full_disk():
            yield
    except OSError as error:
        raise MediaUnavailable from error
