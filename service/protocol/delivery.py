"""Handing out a result's bytes: strong ETag, HEAD, ranges, If-Range and 304, by RFC 9110.

Starlette's FileResponse answers 200 to a matching If-None-Match, 405 to HEAD and has an ETag that
is not the content.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from service.protocol.problems import problem_response

CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Content:
    """An open file, what it is, and the SHA-256 that names its bytes."""

    file: BinaryIO
    size: int
    media_type: str
    sha256: str
    filename: str


def deliver(request: Request, content: Content) -> Response:
    """Return the response for a GET or HEAD of `content`, which it closes."""
    etag = f'"{content.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": content.media_type,
        "Content-Disposition": f'inline; filename="{content.filename}"',
        "Cache-Control": "private, max-age=3600",
    }
    if _names(request.headers.get("if-none-match", ""), etag):
        content.file.close()
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
    return StreamingResponse(_read(content.file, start, end), status_code=status, headers=headers)


def _names(header: str, etag: str) -> bool:
    offered = [entry.strip().removeprefix("W/") for entry in header.split(",")]
    return "*" in offered or etag in offered


def _requested_span(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The bytes to send, half open; None when none of what was asked for exists.

    Several ranges get the whole.
    """
    whole = (0, size)
    unchanged = request.headers.get("if-range", etag) == etag
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if found is None or not unchanged or found[0] == "bytes=-":
        return whole
    first, last = found[1], found[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return whole  # not a valid range: to be ignored
    return (start, end) if start < end else None


async def _read(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await to_thread.run_sync(file.seek, start)
        left = end - start
        while left > 0:
            chunk = await to_thread.run_sync(file.read, min(CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
    finally:
        file.close()
