"""Strangers' files on their way in: streamed to the media store, hashed, sniffed and measured
before anyone decodes.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from anyio import to_thread

from service import schemas
from service.intake.image_headers import HeaderError, TooManyFramesError, read_image_header
from service.intake.media_types import SUFFIXES, matches, same_kind, sniff
from service.protocol.problems import ServiceError
from service.sandbox.child import ChildError, ChildStartError, SandboxedChild
from service.schemas.fields import at
from service.settings import Settings
from worker.stores.media_store import MediaFacts, MediaRecord, MediaStore, UploadWriter

_WRITE_BYTES = 256 * 1024  # a thread hop for each network chunk would cost more than the write


@dataclass(frozen=True)
class Declared:
    """What a sender says about a file: its type (held to exactly when `strict`) and the SHA-256 of
    its bytes.
    """

    media_type: str = ""
    strict: bool = False
    sha256: str | None = None


@dataclass(frozen=True)
class Incoming:
    """A file that was accepted but has no record yet: keep it as an upload, or discard it."""

    writer: UploadWriter
    facts: MediaFacts

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, in hex."""
        return self.writer.sha256

    def open(self) -> BinaryIO:
        """Open the file to read it; raises DiskFull when it could not be written to its end."""
        return _reopened(self.writer)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.writer.abort()


class Intake:
    """Takes files in; what is refused leaves nothing behind."""

    def __init__(self, settings: Settings, media: MediaStore, prober: SandboxedChild) -> None:
        self._settings = settings
        self._media = media
        self._prober = prober

    async def warm_up(self) -> None:
        """Start the child that looks at films, so that the first film need not wait for it."""
        with suppress(ChildStartError):  # then each film tries again, and is told
            await self._prober.start()

    async def close(self) -> None:
        """Kill the child that looks at films."""
        await self._prober.stop()

    def keep(self, incoming: Incoming) -> MediaRecord:
        """Make an upload of an accepted file; call it from a thread."""
        return incoming.writer.commit(incoming.facts, float(self._settings.upload_ttl_s))

    async def take(
        self, tenant: str, chunks: AsyncIterator[bytes], declared: Declared, max_bytes: int
    ) -> Incoming:
        """Write one file down and look at its header; raises the 413, 415, 422 and 507 problems."""
        buffered = _gathered(chunks)
        head = await anext(buffered, b"")
        media_type = _accepted_type(head, declared)
        writer = await to_thread.run_sync(_begun, self._media, tenant, head)
        try:
            _check_bytes(writer.bytes, max_bytes)
            async for chunk in buffered:
                _check_bytes(writer.bytes + len(chunk), max_bytes)
                await to_thread.run_sync(writer.write, chunk)
            if declared.sha256 not in (None, writer.sha256):
                raise ServiceError("digest_mismatch")
            return Incoming(writer, await self._facts(writer, media_type))
        except BaseException:
            await to_thread.run_sync(writer.abort)
            raise

    async def _facts(self, writer: UploadWriter, media_type: str) -> MediaFacts:
        allowed = self._settings
        if media_type.startswith("image/"):
            facts = await to_thread.run_sync(
                _image_facts, writer, media_type, allowed.max_image_frames
            )
            _check_size(facts, allowed.max_image_pixels, allowed.max_image_side_px)
            return facts
        facts = await self._film_facts(writer, media_type)
        _check_size(facts, allowed.max_video_pixels, allowed.max_video_side_px)
        if (facts.frames or 0) > allowed.max_video_frames or (
            facts.duration_s or 0
        ) > allowed.max_video_duration_s:
            longest = f"{allowed.max_video_frames} frames or {allowed.max_video_duration_s:.0f} s"
            raise ServiceError("media_too_large", f"The film is longer than {longest}")
        return facts

    async def _film_facts(self, writer: UploadWriter, media_type: str) -> MediaFacts:
        with await to_thread.run_sync(_reopened, writer) as film:
            try:
                reply = await self._prober.ask(
                    {"media_type": media_type}, [film], self._settings.probe_timeout_s
                )
            except ChildStartError as error:
                raise ServiceError(
                    "enrolment_unavailable", "Films cannot be looked at right now"
                ) from error
            except ChildError as error:
                raise ServiceError(
                    "undecodable", "The film could not be read within its limits"
                ) from error
        found = reply.header
        if "code" in found:
            raise ServiceError(found["code"], found["detail"])
        return MediaFacts(media_type, SUFFIXES[media_type], **found)


def upload_view(record: MediaRecord) -> schemas.Upload:
    """Return the body that describes an upload."""
    return schemas.Upload(
        id=record.id,
        sha256=record.sha256,
        bytes=record.bytes,
        media_type=record.facts.media_type,
        width=record.facts.width,
        height=record.facts.height,
        frames=record.facts.frames,
        duration_s=record.facts.duration_s,
        expires_at=at(record.expires_at),
    )


def content_digest(header: str | None) -> str | None:
    """Return the SHA-256, in hex, of a Content-Digest header (RFC 9530); None without one.

    Raises invalid_parameter.
    """
    if header is None:
        return None
    for entry in header.split(","):
        name, _, value = entry.strip().partition("=")
        if name.strip() == "sha-256":
            try:
                digest = base64.b64decode(value.strip().strip(":"), validate=True)
            except ValueError as error:
                raise ServiceError("invalid_parameter", "Content-Digest is not valid") from error
            if len(digest) == 32:
                return digest.hex()
    raise ServiceError("invalid_parameter", "Content-Digest must give a sha-256")


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
    """Join small chunks; the first one yielded is long enough to be judged, if the file is."""
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
            "unsupported_media_type", "The file is not a picture or film of a supported format"
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


def _begun(media: MediaStore, tenant: str, head: bytes) -> UploadWriter:
    writer = media.begin_write(tenant)
    try:
        writer.write(head)
    except BaseException:
        writer.abort()
        raise
    return writer


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ServiceError("body_too_large", f"The file may have at most {max_bytes} bytes")


def _reopened(writer: UploadWriter) -> BinaryIO:
    writer.flush()
    return writer.path.open("rb")


def _image_facts(writer: UploadWriter, media_type: str, max_frames: int) -> MediaFacts:
    try:
        with _reopened(writer) as file:
            header = read_image_header(file, media_type, max_frames)
    except TooManyFramesError as error:
        raise ServiceError(
            "media_too_large", f"The animation has more than {max_frames} frames"
        ) from error
    except HeaderError as error:
        raise ServiceError("undecodable", f"The picture cannot be read: {error}") from error
    return MediaFacts(media_type, SUFFIXES[media_type], header.width, header.height, header.frames)


def _check_size(facts: MediaFacts, max_pixels: int, max_side: int) -> None:
    width, height = facts.width or 0, facts.height or 0
    if width * height > max_pixels or max(width, height) > max_side:
        raise ServiceError(
            "media_too_large",
            f"{width}x{height} is more than {max_pixels} pixels or {max_side} a side",
        )
