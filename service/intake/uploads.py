"""Receiving untrusted files: streamed to the media store, hashed, identified and measured.

No file is decoded here. What is refused leaves nothing behind.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from anyio import to_thread

from service.fair_queue import FairQueue
from service.intake.incoming import Declared, Incoming, IncomingFile
from service.intake.storage_account import StorageAccount
from service.protocol.problems import ServiceError
from service.sandbox.child import ChildError, ChildStartError, SandboxedChild
from service.settings import Settings
from worker.errors import StorageQuotaExceeded
from worker.media.media_types import INPUT_TYPES, declares, refusal, sniff
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaFacts, UploadWriter

_WAITING_PROBES = 64  # a probe takes some 20 ms, a hostile one up to its time-out
_WRITE_BYTES = 256 * 1024  # a thread hop for each network chunk would cost more than the write


class UploadReceiver:
    """Writes files to the media store and inspects their headers."""

    def __init__(
        self, settings: Settings, media: MediaStore, probers: Mapping[str, SandboxedChild]
    ) -> None:
        """Take the child that inspects each kind of file, `image` and `video`.

        One each, so that a hostile video does not hold up anybody's images.
        """
        self._settings = settings
        self._media = media
        self._probers = probers
        self._turns = {kind: _turns(settings) for kind in probers}
        self._account = StorageAccount(media)

    async def warm_up(self) -> None:
        """Start the children that probe files, so that the first file need not wait for them."""
        for prober in self._probers.values():
            with suppress(ChildStartError):  # each file then tries again, and reports the failure
                await prober.start()

    async def close(self) -> None:
        """Kill the children that probe files."""
        for prober in self._probers.values():
            await prober.stop()

    def incoming(self, tenant: str) -> Incoming:
        """Return the place for the files of one request; use it in an `async with`."""
        return Incoming(self, tenant)

    async def receive(
        self, tenant: str, chunks: AsyncIterator[bytes], declared: Declared, max_bytes: int
    ) -> IncomingFile:
        """Write one file and inspect its header; raises the 413, 415, 422 and 507 problems."""
        buffered = _gathered(chunks)
        # Before a file is made: most wrong files are refused by their first bytes.
        head = await anext(buffered, b"")
        media_type = accepted_type(head, declared)
        writer = await to_thread.run_sync(self._media.begin_write, tenant, declared.upload_id)
        room: int | None = None
        counted = 0

        try:
            chunk = head
            while chunk:
                # Before the write, so that the disk never holds more than is allowed.
                _check_bytes(writer.bytes + len(chunk), max_bytes)
                # Not for a file of one piece, whose quota is looked at when it is kept: the
                # question is a round trip to the store.
                if writer.bytes:
                    room = await self._account.room(tenant) if room is None else room
                    if len(chunk) > room:
                        raise StorageQuotaExceeded

                    room -= len(chunk)

                self._account.add(tenant, len(chunk))
                counted += len(chunk)
                await to_thread.run_sync(writer.write, chunk)
                chunk = await anext(buffered, b"")

            # Before the probe: a damaged transfer is not worth a look.
            if declared.sha256 not in (None, writer.sha256):
                raise ServiceError("digest_mismatch")

            return IncomingFile(writer, await self._facts(tenant, writer, media_type))
        except BaseException:
            self._account.release(tenant, counted)
            # Nothing may stay of a file that was refused.
            await to_thread.run_sync(writer.abort)
            raise

    async def discard(self, tenant: str, file: IncomingFile) -> None:
        """Delete the file of a request that has ended, unless it was kept."""
        # From here on the media store counts it, if it was kept.
        self._account.release(tenant, file.bytes)
        await to_thread.run_sync(file.writer.abort)

    async def _facts(self, tenant: str, writer: UploadWriter, media_type: str) -> MediaFacts:
        # The child reads the file through a descriptor of its own.
        await to_thread.run_sync(writer.flush)
        kind = media_type.partition("/")[0]

        with await to_thread.run_sync(writer.path.open, "rb") as file:
            try:
                async with self._turns[kind].turn(tenant):
                    reply = await self._probers[kind].ask(
                        {"media_type": media_type}, [file], self._settings.probe_timeout_s
                    )
            except ChildStartError as error:
                raise ServiceError("inspection_unavailable") from error
            except ChildError as error:
                raise ServiceError(
                    "undecodable", "The file could not be read within its limits"
                ) from error

        measured = reply.header
        if "code" in measured:
            raise ServiceError(measured["code"], measured["detail"])

        return MediaFacts(media_type, INPUT_TYPES[media_type].suffix, **measured)


def _turns(settings: Settings) -> FairQueue:
    return FairQueue(
        at_once=1,
        # A tenant's hostile files wait behind each other, not before everybody's.
        per_tenant=1,
        waiting=_WAITING_PROBES,
        wait_s=settings.body_idle_timeout_s,
        refusal=lambda: ServiceError("inspection_unavailable", "Too many files are waiting"),
    )


async def inline(text: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the bytes of a base64 input, which may be a data URL.

    Raises body_too_large or invalid_request.
    """
    # What browsers make of a file; the type in it is not believed.
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        # Strict: Python's default skips what is no base64.
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ServiceError("invalid_request", "input.base64 is not base64") from error

    if len(data) > max_bytes:
        raise ServiceError(
            "body_too_large", f"Inline inputs may have at most {max_bytes} bytes; use an upload"
        )

    yield data


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small chunks; the first one yielded is long enough to be identified, if the file is."""
    waiting = b""
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            yield waiting
            waiting = b""

    if waiting:
        yield waiting


def accepted_type(head: bytes, declared: Declared) -> str:
    """Return the media type of a file by its first bytes; raises unsupported_media_type."""
    if not head:
        raise ServiceError("invalid_request", "The file is empty")

    sniffed = sniff(head)
    if sniffed is None:
        raise ServiceError("unsupported_media_type", refusal(head))
    if not declares(declared.media_type, sniffed):
        said = declared.media_type[:60]
        raise ServiceError(
            "unsupported_media_type", f"The file is {sniffed}, but was declared as {said}"
        )

    return sniffed


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ServiceError("body_too_large", f"The file may have at most {max_bytes} bytes")
