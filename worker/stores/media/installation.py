"""Whether the media here are those that the store's records speak of, and can be used.

A volume that was unmounted leaves an empty directory, and a wrong setting names another bucket:
in both a file seems to be deleted that is only out of reach.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from worker.errors import MediaUnavailable, MediaUnsuitable, UnknownMedia
from worker.stores.blobs.blobs import Blobs
from worker.stores.connection import Reply, reaching
from worker.stores.ids import new_id
from worker.stores.keys import INSTALLATION

MARKER = "installation"  # the file that says whose media these are


class Installation:
    """The mark that media and records of one installation share."""

    def __init__(self, blobs: Blobs, incoming: Path, redis: Redis) -> None:
        """Mark `blobs`; `incoming` is the directory in which uploads are written."""
        self._blobs = blobs
        self._incoming = incoming
        self._redis = redis
        self._joined: bytes | None = None

    def join(self) -> None:
        """Make sure that the records in the store and the bytes here belong together.

        Whoever comes first marks both. Call it once, when a process starts.

        Raises:
            MediaUnsuitable: this is another directory or bucket than the others use, or one that
            does not do what it must.
            MediaUnavailable, StoreUnavailable
        """
        self._blobs.require_suitable()
        with reaching():
            recorded: Reply = self._redis.get(INSTALLATION())

        # Several processes may come first at once: one of their ids stays with the bytes, and that
        # one is recorded.
        if recorded is None:
            self._blobs.create(MARKER, new_id("ins").encode())
            with reaching():
                self._redis.set(INSTALLATION(), self._marker() or b"", nx=True)
                recorded = self._redis.get(INSTALLATION())

        if self._marker() != recorded:
            raise MediaUnsuitable(
                "The media here are not those that the store's records speak of: mount the same"
                " directory, or set the same LIKENESS_MEDIA, for every process. If they are the"
                f" right ones, write {recorded.decode()} into their file `{MARKER}`."
            )

        self._joined = bytes(recorded)

    def is_usable(self) -> bool:
        """Return whether a missing file can be told from lost media.

        A volume that was unmounted leaves an empty directory: the marker is not in it.
        """
        if not self._blobs.is_usable() or not os.access(self._incoming, os.W_OK | os.X_OK):
            return False
        try:
            return self._joined in (None, self._marker())
        except MediaUnavailable:
            return False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Tell a missing file (UnknownMedia) from media that are lost (MediaUnavailable)."""
        try:
            yield
        except FileNotFoundError as error:
            raise (UnknownMedia if self.is_usable() else MediaUnavailable) from error

    def _marker(self) -> bytes | None:
        try:
            return self._blobs.read(MARKER)
        except FileNotFoundError:
            return None
