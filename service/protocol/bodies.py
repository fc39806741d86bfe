"""Request bodies as they come in: bounded in size and time, streamed, never whole in memory unless
they are small.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.protocol.problems import ServiceError
from service.settings import Settings

Model = TypeVar("Model", bound=BaseModel)

MAX_PARTS = 32
MAX_PART_HEADERS = 16
MAX_PART_HEADERS_BYTES = 8192


@dataclass(frozen=True)
class BodyLimits:
    """Bounds of one body: bytes, seconds between two chunks, seconds in all."""

    max_bytes: int
    idle_s: float
    total_s: float


def json_limits(settings: Settings) -> BodyLimits:
    """Return the bounds of JSON bodies."""
    return BodyLimits(
        max_bytes=settings.max_json_bytes,
        idle_s=settings.body_idle_timeout_s,
        total_s=settings.body_timeout_s,
    )


def media_type(request: Request) -> str:
    """Return the request's Content-Type in lower case, without parameters.

    "" when there is none.
    """
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def stream(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yield the body.

    Raises body_too_large as soon as it is known to be, bad_request when it comes too slowly.
    """
    too_large = ServiceError(
        "body_too_large", f"The body may have at most {limits.max_bytes} bytes"
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_bytes:
        raise too_large
    received, chunks = 0, request.stream()
    deadline = asyncio.get_running_loop().time() + limits.total_s
    while True:
        try:
            async with asyncio.timeout(
                min(limits.idle_s, deadline - asyncio.get_running_loop().time())
            ):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise ServiceError("bad_request", "The body came too slowly") from error
        if chunk is None:
            return
        received += len(chunk)
        if received > limits.max_bytes:
            raise too_large
        yield chunk


async def read_json(request: Request, model: type[Model], limits: BodyLimits) -> Model:
    """Return the JSON body as a `model`; raises 400, 413, 415 or 422 problems."""
    if media_type(request) != "application/json":
        raise ServiceError("unsupported_media_type", "The body must be application/json")
    data = b"".join([chunk async for chunk in stream(request, limits)])
    return parse_json(data, model)


def parse_json(data: bytes | str, model: type[Model]) -> Model:
    """Return `data` as a `model`; raises the problems of FastAPI's own bodies."""
    try:
        return model.model_validate(_from_json(data))
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise ServiceError("invalid_json") from error
        raise as_request_error(error) from error


def parse_fields(
    fields: Mapping[str, str], model: type[Model], json_fields: Collection[str]
) -> Model:
    """Return a form's fields as a `model`; those named in `json_fields` hold JSON."""
    values: dict[str, Any] = dict(fields)
    for name in set(json_fields) & set(fields):
        try:
            values[name] = _from_json(fields[name])
        except ValueError as error:
            raise ServiceError("invalid_json", f"The field {name} is not valid JSON") from error
    return parse_json(json.dumps(values), model)


def _from_json(data: bytes | str) -> Any:  # noqa: ANN401 - whatever the sender wrote
    """Pydantic's own reader: unlike Python's it bounds the depth, and takes no NaN and no half of a
    surrogate pair.
    """
    return from_json(data, allow_inf_nan=False)


def as_request_error(error: ValidationError) -> RequestValidationError:
    """Return pydantic's findings as FastAPI would raise them for a body."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found])


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
            data += chunk
            if len(data) > max_bytes:
                raise ServiceError(
                    "body_too_large",
                    f"The field {self.name[:40]} may have at most {max_bytes} bytes",
                )
        return data.decode("utf-8", "replace")


class MultipartReader:
    """The parts of a multipart/form-data body, one after the other, without a byte of them on disk
    or kept.
    """

    def __init__(self, request: Request, limits: BodyLimits) -> None:
        _, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        if not boundary:
            raise ServiceError("bad_request", "The Content-Type names no boundary")
        self._chunks = stream(request, limits)
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
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._header = [b"", b""]
        if len(self._headers) > MAX_PART_HEADERS:
            raise ServiceError("bad_request", "A part has too many headers")

    def _end_headers(self) -> None:
        self._events.append(("begin", self._headers))
        self._headers = {}
