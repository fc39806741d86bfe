"""A seekable file over range reads of one object."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError

from worker.errors import MediaUnavailable

if TYPE_CHECKING:
    from obstore import GetOptions
    from typing_extensions import Buffer

BLOCK_BYTES = 8 << 20  # one request: at 10 ms each, 800 MB/s are not held up by round trips


class ObjectReader(io.RawIOBase):
    """Reads the object that was there when it was opened: `If-Match` refuses another one."""

    def __init__(self, store: Any, name: str, size: int, etag: str) -> None:  # noqa: ANN401
        self._store = store
        self._name = name
        self._size = size
        self._etag = etag
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        """Fetch as much as the buffer takes; raises MediaUnavailable."""
        view = memoryview(buffer).cast("B")
        end = min(self._size, self._at + len(view))
        if self._at >= end:
            return 0
        try:
            wanted: GetOptions = {"range": (self._at, end)}
            if self._etag:
                wanted["if_match"] = self._etag
            content = obstore.get(self._store, self._name, options=wanted).bytes()
        except (BaseError, FileNotFoundError) as error:  # deleted while it was read
            raise MediaUnavailable from error

        view[: len(content)] = memoryview(content)
        self._at += len(content)
        return len(content)
