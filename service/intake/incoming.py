"""The files that arrive with one request: kept as uploads, or discarded when the request ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Protocol

from anyio import CancelScope

from worker.stores.media.uploads import MediaFacts, MediaRecord, UploadWriter


@dataclass(frozen=True)
class Declared:
    """What a client says about a file: its media type and the SHA-256 of its bytes.

    `upload_id` is ours: the id that a file which came in parts has already.
    """

    media_type: str = ""
    sha256: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True)
class IncomingFile:
    """An accepted file without a record: not yet an upload."""

    writer: UploadWriter
    facts: MediaFacts

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, in hex."""
        return self.writer.sha256

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.writer.bytes

    def open(self) -> BinaryIO:
        """Open the file for reading; raises DiskFull when it could not be written to its end."""
        # What was written may still be in our buffer, and the child reads the file itself.
        self.writer.flush()
        return self.writer.path.open("rb")

    def keep(self, ttl_s: float) -> MediaRecord:
        """Make an upload of the file, for `ttl_s` seconds; call it from a thread."""
        return self.writer.commit(self.facts, ttl_s)


class Receiver(Protocol):
    """Writes one file to the media store and inspects its header."""

    async def receive(
        self, tenant: str, chunks: AsyncIterator[bytes], declared: Declared, max_bytes: int
    ) -> IncomingFile:
        """Return the accepted file; raises the 413, 415, 422, 429 and 507 problems."""

    async def discard(self, tenant: str, file: IncomingFile) -> None:
        """Delete the file of a request that has ended, unless it was kept."""


class Incoming:
    """The files of one request; `async with` discards whatever was not kept as an upload."""

    def __init__(self, receiver: Receiver, tenant: str) -> None:
        self._receiver = receiver
        self.tenant = tenant
        self.files: list[IncomingFile] = []

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with CancelScope(shield=True):  # a client that leaves must not leave its files behind
            for file in self.files:
                await self._receiver.discard(self.tenant, file)

    async def receive(
        self, chunks: AsyncIterator[bytes], declared: Declared, max_bytes: int
    ) -> IncomingFile:
        """Return one more accepted file; raises the 413, 415, 422 and 507 problems."""
        file = await self._receiver.receive(self.tenant, chunks, declared, max_bytes)
        # Only accepted files: `receive` removes what it refuses.
        self.files.append(file)
        return file
