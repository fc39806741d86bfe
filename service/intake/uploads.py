"""Receiving untrusted files: streamed to the media store, hashed, identified and measured.

No file is decoded here. What is refused leaves nothing behind.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import suppress

from anyio import to_thread

from service.fair_queue import FairQueue
from service.intake.image_headers import HeaderError, TooManyFramesError, read_image_header
from service.intake.incoming import Declared, Incoming, IncomingFile
from service.intake.media_types import SUFFIXES, matches, same_kind, sniff
from service.intake.storage_account import StorageAccount
from service.protocol.problems import ServiceError
from service.sandbox.child import ChildError, ChildStartError, SandboxedChild
from service.settings import Settings
from worker.errors import StorageQuotaExceeded
from worker.stores.media_store import MediaFacts, MediaStore, UploadWriter

_WAITING_PROBES = 64  # a probe takes some 20 ms, a hostile one up to its time-out
_WRITE_BYTES = 256 * 1024  # a thread hop for each network chunk would cost more than the write


class UploadReceiver:
    """Writes files to the media store and inspects their headers."""

    def __init__(self, settings: Settings, media: MediaStore, prober: SandboxedChild) -> None:
        self._settings = settings
        self._media = media
        self._prober = prober
        self._probes = FairQueue(
            at_once=1,
            per_tenant=1,
            waiting=_WAITING_PROBES,
            wait_s=settings.body_idle_timeout_s,
            refusal=lambda: ServiceError("inspection_unavailable", "Too many videos are waiting"),
        )
        self._account = StorageAccount(media)

    async def warm_up(self) -> None:
        """Start the child that probes videos, so that the first video need not wait for it."""
        with suppress(ChildStartError):  # each video then tries again, and reports the failure
            await self._prober.start()

    async def close(self) -> None:
        """Kill the child that probes videos."""
        await self._prober.stop()

    def incoming(self, tenant: str) -> Incoming:
        """Return the place for the files of one request; use it in an `async with`."""
        return Incoming(self, tenant)

    async def receive(
        self, tenant: str, chunks: AsyncIterator[bytes], declared: Declared, max_bytes: int
    ) -> IncomingFile:
        """Write one file and inspect its header; raises the 413, 415, 422 and 507 problems."""
        buffered = _gathered(chunks)
        head = await anext(buffered, b"")
        media_type = _accepted_type(head, declared)
        room = await self._account.room(tenant)

        writer = await to_thread.run_sync(self._media.begin_write, tenant)
        counted = 0
        try:
            chunk = head
            while chunk:
                _check_bytes(writer.bytes + len(chunk), max_bytes)
                if writer.bytes + len(chunk) > room:
                    raise StorageQuotaExceeded
                self._account.add(tenant, len(chunk))
                counted += len(chunk)
                await to_thread.run_sync(writer.write, chunk)
                chunk = await anext(buffered, b"")
            if declared.sha256 not in (None, writer.sha256):
                raise ServiceError("digest_mismatch")
            return IncomingFile(writer, await self._facts(tenant, writer, media_type))
        except BaseException:
            self._account.release(tenant, counted)
            await to_thread.run_sync(writer.abort)
            raise

    async def discard(self, tenant: str, file: IncomingFile) -> None:
        """Delete the file of a request that has ended, unless it was kept."""
        self._account.release(tenant, file.bytes)
        await to_thread.run_sync(file.writer.abort)

    async def _facts(self, tenant: str, writer: UploadWriter, media_type: str) -> MediaFacts:
        allowed = self._settings.media
        if media_type.startswith("image/"):
            facts = await to_thread.run_sync(_image_facts, writer, media_type, allowed.image_frames)
            _check_size(facts, allowed.image_pixels, allowed.image_side_px)
            return facts

        facts = await self._video_facts(tenant, writer, media_type)
        _check_size(facts, allowed.video_pixels, allowed.video_side_px)
        too_many_frames = (facts.frames or 0) > allowed.video_frames
        if too_many_frames or (facts.duration_s or 0) > allowed.video_duration_s:
            longest = f"{allowed.video_frames} frames or {allowed.video_duration_s:.0f} s"
            raise ServiceError("media_too_large", f"The video is longer than {longest}")
        return facts

    async def _video_facts(self, tenant: str, writer: UploadWriter, media_type: str) -> MediaFacts:
        await to_thread.run_sync(writer.flush)
        with await to_thread.run_sync(writer.path.open, "rb") as video:
            try:
                async with self._probes.turn(tenant):
                    reply = await self._prober.ask(
                        {"media_type": media_type}, [video], self._settings.probe_timeout_s
                    )
            except ChildStartError as error:
                raise ServiceError("inspection_unavailable") from error
            except ChildError as error:
                raise ServiceError(
                    "undecodable", "The video could not be read within its limits"
                ) from error

        measured = reply.header
        if "code" in measured:
            raise ServiceError(measured["code"], measured["detail"])
        return MediaFacts(media_type, SUFFIXES[media_type], **measured)


async def inline(text: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the bytes of a base64 input, which may be a data URL.

    Raises body_too_large or invalid_request.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
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


def _accepted_type(head: bytes, declared: Declared) -> str:
    if not head:
        raise ServiceError("invalid_request", "The file is empty")
    sniffed = sniff(head)
    if sniffed is None:
        raise ServiceError(
            "unsupported_media_type", "The file is not an image or video of a supported format"
        )
    if not (
        matches(declared.media_type, sniffed)
        or (not declared.strict and same_kind(declared.media_type, sniffed))
    ):
        said = declared.media_type[:60]
        raise ServiceError(
            "unsupported_media_type", f"The file is {sniffed}, but was declared as {said}"
        )
    return sniffed


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ServiceError("body_too_large", f"The file may have at most {max_bytes} bytes")


def _image_facts(writer: UploadWriter, media_type: str, max_frames: int) -> MediaFacts:
    writer.flush()
    try:
        with writer.path.open("rb") as file:
            header = read_image_header(file, media_type, max_frames)
    except TooManyFramesError as error:
        raise ServiceError(
            "media_too_large", f"The animation has more than {max_frames} frames"
        ) from error
    except HeaderError as error:
        raise ServiceError("undecodable", f"The image cannot be read: {error}") from error
    return MediaFacts(media_type, SUFFIXES[media_type], header.width, header.height, header.frames)


def _check_size(facts: MediaFacts, max_pixels: int, max_side: int) -> None:
    width = facts.width or 0
    height = facts.height or 0
    if width * height > max_pixels or max(width, height) > max_side:
        raise ServiceError(
            "media_too_large",
            f"{width}x{height} is more than {max_pixels} pixels or {max_side} pixels a side",
        )
