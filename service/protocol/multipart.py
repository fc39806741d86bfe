"""Multipart bodies, part by part as they arrive; no byte of them is written to disk here."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.protocol.problems import ServiceError

# No form of this API has more than 8 photos and 4 fields; headers of a part have two lines.
MAX_PARTS = 32
MAX_PART_HEADERS = 16
MAX_PART_HEADERS_BYTES = 8192


class Part:
    """One part of a multipart body: a field, or a file when `filename` is not None."""

    def __init__(self, form: MultipartReader, headers: dict[str, str]) -> None:
        self._form = form
        _, options = parse_options_header(headers.get("content-disposition", ""))
        name = options.get(b"name")

        if name is None:
            raise ServiceError("bad_request", "A part of the form has no name")

        self.name = name.decode("utf-8", "replace")
        self.filename = (
            options[b"filename"].decode("utf-8", "replace") if b"filename" in options else None
        )
        self.content_type = headers.get("content-type", "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the part's bytes; read them all before asking the form for its next part."""
        while (data := await self._form.next_data()) is not None:
            yield data

    async def text(self, max_bytes: int) -> str:
        """Return a field's value; raises body_too_large past `max_bytes`."""
        data = b""
        async for chunk in self.chunks():
            # Counted while it is read: a field must not fill the memory before it is refused.
            data += chunk
            if len(data) > max_bytes:
                raise ServiceError(
                    "body_too_large",
                    f"The field {self.name[:40]} may have at most {max_bytes} bytes",
                )

        # Never an error here: what is not text fails the field's own validation, with its name.
        return data.decode("utf-8", "replace")


class MultipartReader:
    """The parts of a multipart/form-data body, one after the other."""

    def __init__(self, request: Request, chunks: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")

        if not boundary:
            raise ServiceError("bad_request", "The Content-Type names no boundary")

        self._chunks = chunks
        # The parser calls back in the middle of a chunk; what it found waits here until it is asked
        # for.
        self._events: deque[tuple[str, Any]] = deque()
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[str, str] = {}
        self._ended = False

        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise ServiceError("bad_request", "The boundary is not valid") from error

    async def parts(self) -> AsyncIterator[Part]:
        """Yield the parts in order; what a part's reader leaves unread is skipped."""
        # A for, not a while: the bound holds however the parts are skipped.
        for _ in range(MAX_PARTS):
            while (event := await self._next()) is not None and event[0] != "begin":
                continue

            if event is None:
                return

            yield Part(self, event[1])

        raise ServiceError("bad_request", f"A form may have at most {MAX_PARTS} parts")

    async def next_data(self) -> bytes | None:
        """Return the current part's next bytes, or None at its end."""
        event = await self._next()
        if event is None:
            raise ServiceError("bad_request", "The form ends inside a part")
        return event[1] if event[0] == "data" else None

    async def _next(self) -> tuple[str, Any] | None:
        while not self._events and not self._ended:
            chunk = await anext(self._chunks, None)
            try:
                if chunk is None:
                    self._parser.finalize()
                    self._ended = True
                else:
                    self._parser.write(chunk)
            except FormParserError as error:
                raise ServiceError("bad_request", "The form is malformed") from error

        return self._events.popleft() if self._events else None

    def _callbacks(self) -> dict[str, Any]:
        return {
            "on_header_field": lambda data, start, end: self._add(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._events.append(("data", data[start:end])),
            "on_part_end": lambda: self._events.append(("end", None)),
        }

    def _add(self, place: int, data: bytes) -> None:
        self._header[place] += data
        if len(self._header[place]) > MAX_PART_HEADERS_BYTES:
            raise ServiceError("bad_request", "A part's headers are too long")

    def _end_header(self) -> None:
        name, value = self._header
        # HTTP's encoding, which takes any byte; names of headers are case-insensitive.
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._header = [b"", b""]
        if len(self._headers) > MAX_PART_HEADERS:
            raise ServiceError("bad_request", "A part has too many headers")

    def _end_headers(self) -> None:
        self._events.append(("begin", self._headers))
        self._headers = {}
