"""Files of keys in hex, one a line; that of mark keys also says since when each one is used."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.errors import TrustKeyBroken
from worker.provenance.names import KEY_BYTES
from worker.stores.blobs.durable_files import replace_file

# Each costs a verification 5 ms of search, and a third of a second for a cropped image.
MOST_MARK_KEYS = 16


class MarkKeys:
    """The file `mark.key`: marks are drawn with the newest key and read with all of them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def rotate(self, now: float | None = None) -> None:
        """Put a new key first; results marked with older keys can still be read.

        Jobs that were admitted before keep their key, so that all segments of a video have one.
        Raises TrustKeyBroken when the file is broken or has no room.
        """
        with locked(self._file.parent):
            if len(self._dated()) >= MOST_MARK_KEYS:
                raise TrustKeyBroken(
                    f"mark.key has {MOST_MARK_KEYS} keys; take the oldest out, whose marks can then"
                    " no longer be read"
                )

            since = time.time() if now is None else now
            key = f"{secrets.token_hex(KEY_BYTES)} {since!r}\n"
            replace_file(self._file, key.encode() + self._file.read_bytes())

    def newest_first(self) -> list[bytes]:
        """Return the mark keys, newest first; raises TrustKeyBroken."""
        return [key for key, _ in self._dated()]

    def at(self, moment: float) -> bytes:
        """Return the key for a job admitted then (seconds since the epoch).

        Raises TrustKeyBroken.
        """
        keys = self._dated()
        # A job that is older than every key was marked with the oldest.
        return next((key for key, since in keys if since <= moment), keys[-1][0])

    def _dated(self) -> list[tuple[bytes, float]]:
        keys = read_keys(self._file)
        lines = self._file.read_text().splitlines()
        words = [line.split() for line in lines if line.strip()]
        try:
            return [
                (key, float(word[1]) if len(word) > 1 else 0.0)
                for key, word in zip(keys, words, strict=True)
            ]
        except ValueError as error:
            raise TrustKeyBroken(f"a time in mark.key cannot be read: {error}") from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock: API and workers start at once, and only one may make the keys."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # On the directory: it exists before any file in it.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_keys(path: Path) -> list[bytes]:
    """Return the keys in a file, in its order; raises TrustKeyBroken."""
    try:
        lines = path.read_text().splitlines()
        keys = [bytes.fromhex(line.split()[0]) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise TrustKeyBroken(f"{path.name} cannot be read: {error}") from error

    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise TrustKeyBroken(f"{path.name} needs lines of {KEY_BYTES} bytes in hex")

    return keys
