"""Uploads that arrive in parts, or by way of the bucket: from the first byte to the kept upload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial as bound
from typing import Final

from anyio import CancelScope, to_thread
from starlette.requests import ClientDisconnect

from service.intake.incoming import Declared
from service.intake.uploads import UploadReceiver, accepted_type
from service.protocol.catalogue import CODES
from service.protocol.problems import ServiceError
from worker.errors import UnknownMedia
from worker.media.media_types import SNIFFED_BYTES
from worker.stores.media.media_store import MediaStore
from worker.stores.media.partial_uploads import Partial
from worker.stores.media.uploads import MediaRecord, UploadWriter

# Long enough for a gigabyte at 10 Mbit/s. Whoever has the URL may write until then.
PUT_URL_S: Final = 900.0
# Longer than the URL: what was put at the last moment can still be completed.
PUT_TTL_S: Final = 3600.0
# Of a part that broke off: less is not worth a part of its own.
LEAST_KEPT_BYTES: Final = 64 * 1024


class PartReceiver:
    """Receives parts, and makes an upload of them when all are there."""

    def __init__(self, media: MediaStore, uploads: UploadReceiver, upload_ttl_s: float) -> None:
        self._media = media
        self._partials = media.partials
        self._uploads = uploads
        self._upload_ttl_s = upload_ttl_s

    async def append(self, partial: Partial, chunks: AsyncIterator[bytes]) -> Partial:
        """Add the bytes of one request, as many as arrive; return how far the upload is then.

        What came before a connection broke is kept, so that the client goes on from there. Raises
        body_too_large, unsupported_media_type, and what `PartialUploads.append` raises.
        """
        writer = await to_thread.run_sync(self._media.begin_write, partial.tenant)
        try:
            await self._receive(partial, writer, chunks)
            # A client that has gone does not stop this: its next request asks how far it came.
            with CancelScope(shield=True):
                added = await to_thread.run_sync(self._add, partial, writer)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(writer.abort)

        return added

    async def _receive(
        self, partial: Partial, writer: UploadWriter, chunks: AsyncIterator[bytes]
    ) -> None:
        room = partial.length - partial.offset
        head = b""

        try:
            async for chunk in chunks:
                if writer.bytes + len(chunk) > room:
                    raise ServiceError("body_too_large", f"{room} bytes are missing, not more")

                if partial.offset == 0 and len(head) < SNIFFED_BYTES:
                    head = (head + chunk)[:SNIFFED_BYTES]
                    # As soon as it can be told: a wrong file should not be sent to its end.
                    if len(head) == SNIFFED_BYTES:
                        accepted_type(head, Declared())

                await to_thread.run_sync(writer.write, chunk)
        except ClientDisconnect:
            if writer.bytes < LEAST_KEPT_BYTES:
                raise

    async def finish(self, partial: Partial) -> MediaRecord:
        """Return the upload of all parts; raises what receiving a file raises.

        A file that is refused is deleted with its parts; what fails for now can be asked for again.
        """
        return await self._whole(partial, bound(self._partials.content, partial))

    async def finish_put(self, partial: Partial) -> MediaRecord:
        """Return the upload of what the client has put into the bucket; raises as `finish` does.

        Raises upload_incomplete when nothing is there.
        """
        try:
            return await self._whole(partial, bound(self._partials.put_content, partial))
        except UnknownMedia as error:
            raise ServiceError("upload_incomplete") from error

    async def _whole(self, partial: Partial, content: Callable[[], Iterator[bytes]]) -> MediaRecord:
        await to_thread.run_sync(self._partials.claim, partial)
        is_over = False
        try:
            declared = Declared(upload_id=partial.id)
            async with self._uploads.incoming(partial.tenant) as incoming:
                file = await incoming.receive(_in_threads(content()), declared, partial.length)
                if file.bytes != partial.length:
                    raise ServiceError(
                        "upload_incomplete",
                        f"{file.bytes} of {partial.length} bytes are there",
                    )
                record = await to_thread.run_sync(file.keep, self._upload_ttl_s)

            is_over = True
            return record
        except ServiceError as error:
            # Of the file's own kind: it will be refused again.
            is_over = CODES[error.code][0] in (413, 415, 422)
            raise
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._end, partial, is_over)

    def _end(self, partial: Partial, is_over: bool) -> None:
        if is_over:
            self._partials.drop(partial.id, is_whole=self._media.is_recorded(partial.id))
        else:
            self._partials.release(partial)

    def _add(self, partial: Partial, writer: UploadWriter) -> Partial:
        writer.close()
        if not writer.bytes:
            return partial
        return self._partials.append(partial, writer.path, writer.bytes)


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks that are read in threads, each as it is wanted."""
    while chunk := await to_thread.run_sync(next, chunks, b""):
        yield chunk
