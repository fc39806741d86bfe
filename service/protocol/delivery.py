"""Delivery of a result's bytes: strong ETag, HEAD, ranges, If-Range and 304, by RFC 9110.

Starlette's FileResponse answers 200 to a matching If-None-Match, 405 to HEAD and has an ETag that
is not the content.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from service.protocol.problems import ServiceError, problem_response

# Large enough that reading in a thread costs little, small enough that thousands of downloads fit
# into memory.
CHUNK_BYTES = 256 * 1024
# One range only: several need multipart responses, which no client of videos asks for.
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST_DIGITS = 18  # no file has 10**18 bytes; Python refuses to read numbers of 4,300 digits


@dataclass(frozen=True)
class Content:
    """An open file, what it is, and the SHA-256 that names its bytes."""

    file: BinaryIO
    size: int
    media_type: str
    sha256: str
    filename: str


def deliver(
    request: Request, content: Content, is_allowed: Callable[[], Awaitable[bool]]
) -> Response:
    """Return the response for a GET or HEAD of `content`, which it closes.

    A response that takes long breaks off when `is_allowed` becomes false: the key was revoked.
    """
    etag = f'"{content.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": content.media_type,
        # `inline`, so that players and browsers show it; the name is ours, never the user's.
        "Content-Disposition": f'inline; filename="{content.filename}"',
        # Private: a shared cache must not hold faces. The bytes of a job never change, so a client
        # may.
        "Cache-Control": "private, max-age=3600",
    }

    if _names(request.headers.get("if-none-match", ""), etag):
        content.file.close()
        # The file is shorter than its record says: end, and let the client see that bytes are
        # missing.
        return Response(
            status_code=304, headers={k: v for k, v in headers.items() if k != "Content-Type"}
        )

    span = _requested_span(request, content.size, etag)
    if span is None:
        content.file.close()
        return problem_response(
            "range_not_satisfiable", headers={"Content-Range": f"bytes */{content.size}"}
        )

    start, end = span
    status = 200 if end - start == content.size else 206

    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"

    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        content.file.close()
        return Response(status_code=status, headers=headers)

    chunks = _read(content.file, start, end, is_allowed)
    return StreamingResponse(chunks, status_code=status, headers=headers)


def _names(header: str, etag: str) -> bool:
    offered = [entry.strip().removeprefix("W/") for entry in header.split(",")]
    return "*" in offered or etag in offered


def _requested_span(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return the bytes to send, half open; None when none of those asked for exists.

    A request for several ranges gets the whole.
    """
    whole = (0, size)
    # Another ETag means that the client holds parts of other bytes: it needs the whole.
    unchanged = request.headers.get("if-range", etag) == etag
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))

    if match is None or not unchanged or match[0] == "bytes=-":
        return whole

    first = _position(match[1])
    last = _position(match[2])

    if first is None:
        # `bytes=-n`: the last n bytes, all of them where there are fewer.
        start = max(0, size - (last or 0))
        return (start, size) if start < size else None

    if last is not None and last < first:
        return whole  # not a valid range: to be ignored

    end = size if last is None else min(size, last + 1)
    return (first, end) if first < end else None


def _position(digits: str) -> int | None:
    """Return a position of a Range header, None where it is left out; far ones are all alike."""
    if not digits:
        return None
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _MOST_DIGITS else 10**_MOST_DIGITS


async def _read(
    file: BinaryIO, start: int, end: int, is_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    try:
        await to_thread.run_sync(file.seek, start)
        left = end - start

        while left > 0:
            # Once a chunk, answered from memory for two seconds: a revoked key must not finish its
            # download.
            if not await is_allowed():
                raise ServiceError("unauthorized", "The key was revoked or has expired")

            chunk = await to_thread.run_sync(file.read, min(CHUNK_BYTES, left))
            if not chunk:
                return

            left -= len(chunk)
            yield chunk
    finally:
        file.close()
