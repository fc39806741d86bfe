"""Request bodies, bounded in size and time: JSON is read whole, files are streamed."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import Headers

from service.protocol.multipart import MultipartReader
from service.protocol.problems import ServiceError
from service.settings import Settings

Model = TypeVar("Model", bound=BaseModel)

_GZIP_WINDOW: Final = 31  # zlib's number for gzip's own header with the largest window


def media_type(request: Request) -> str:
    """Return the request's Content-Type in lower case, without parameters.

    "" when there is none.
    """
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


class BodyReader:
    """Reads request bodies within the bounds of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._max_json_bytes = settings.max_json_bytes
        self._idle_s = settings.body_idle_timeout_s
        self._total_s = settings.body_timeout_s

    async def json(self, request: Request, model: type[Model]) -> Model:
        """Return the JSON body as a `model`; raises 400, 413, 415 or 422 problems."""
        if media_type(request) != "application/json":
            raise ServiceError("unsupported_media_type", "The body must be application/json")
        chunks = self._stream(request, self._max_json_bytes)
        data = b"".join([chunk async for chunk in chunks])
        if _is_gzip(request.headers):
            data = _unpacked(data, self._max_json_bytes)

        return parse_json(data, model)

    def form(self, request: Request, max_bytes: int) -> MultipartReader:
        """Return a reader of the multipart body; raises bad_request without a boundary."""
        return MultipartReader(request, self.stream(request, max_bytes))

    def stream(self, request: Request, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises body_too_large as soon as that is known, bad_request when the client stalls, and
        unsupported_media_type for a compressed one: media are compressed already.
        """
        if _is_gzip(request.headers):
            raise ServiceError("unsupported_media_type", "Only JSON bodies may be compressed")
        return self._stream(request, max_bytes)

    async def _stream(self, request: Request, max_bytes: int) -> AsyncIterator[bytes]:
        too_large = ServiceError("body_too_large", f"The body may have at most {max_bytes} bytes")
        # Before the first byte is read. The count below holds for bodies that lie about their
        # length.
        if _declared_length(request) > max_bytes:
            raise too_large

        received = 0
        chunks = request.stream()
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._total_s

        while True:
            try:
                # Both at once: a body that trickles is within the idle time for ever, and stops at
                # the total.
                async with asyncio.timeout(min(self._idle_s, deadline - clock())):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise ServiceError("bad_request", "The request body arrived too slowly") from error

            if chunk is None:
                return

            received += len(chunk)
            if received > max_bytes:
                raise too_large

            yield chunk


def _declared_length(request: Request) -> int:
    """Return the Content-Length, or 0; no more than 18 digits are read, which is an exabyte."""
    text = request.headers.get("content-length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else 0


def parse_json(data: bytes | str, model: type[Model]) -> Model:
    """Return `data` as a `model`; raises the same problems as FastAPI's own bodies."""
    try:
        return model.model_validate(_from_json(data))
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise ServiceError("invalid_json") from error
        # FastAPI's own error, so that all bodies fail in one form.
        raise _as_request_error(error) from error


def parse_fields(
    fields: Mapping[str, str], model: type[Model], json_fields: Collection[str]
) -> Model:
    """Return a form's fields as a `model`; those named in `json_fields` hold JSON."""
    # Parsed once and dumped again, so that a form is validated by the very same model as JSON.
    values: dict[str, Any] = dict(fields)
    for name in set(json_fields) & set(fields):
        try:
            values[name] = _from_json(fields[name])
        except ValueError as error:
            raise ServiceError("invalid_json", f"The field {name} is not valid JSON") from error

    return parse_json(json.dumps(values), model)


def _from_json(data: bytes | str) -> Any:  # noqa: ANN401 - any JSON
    """Return parsed JSON by pydantic's parser.

    Unlike Python's it bounds the depth and refuses NaN and unpaired surrogates.
    """
    return from_json(data, allow_inf_nan=False)


def _as_request_error(error: ValidationError) -> RequestValidationError:
    """Return pydantic's findings as FastAPI would raise them for a body."""
    findings = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in findings])


def _unpacked(data: bytes, max_bytes: int) -> bytes:
    """Return the bytes of a gzip body; raises body_too_large, bad_request."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        # One byte beyond the bound is enough to know, however far the rest would unpack.
        plain = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise ServiceError("bad_request", "The body is not the gzip that it says") from error

    if len(plain) > max_bytes:
        raise ServiceError("body_too_large", f"The body may have at most {max_bytes} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise ServiceError("bad_request", "The gzip body is cut off, or has something behind it")

    return plain


def _is_gzip(headers: Headers) -> bool:
    """Return whether a request's body is gzip.

    Raises unsupported_media_type for any other coding.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in ("gzip", "x-gzip"):
        return True
    if coding in ("", "identity"):
        return False

    # RFC 9110: the answer to an unknown coding names those that are known.
    raise ServiceError(
        "unsupported_media_type",
        "A body may be compressed with gzip only",
        headers={"Accept-Encoding": "gzip"},
    )
