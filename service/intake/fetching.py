"""Outgoing HTTP for inputs and webhooks: bounded in time, connections and redirects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpcore
import httpx

from service.intake.guarded_backend import GuardedBackend
from service.intake.outgoing_urls import AddressRefusedError, FetchFailedError, checked_url

MAX_CONNECTIONS = 256  # of one client; who may use them is decided before
# Enough for http to https, a host name with www, and a content delivery network.
_MAX_REDIRECTS = 3
_RESOLVE_S = 5.0  # of a look before a URL is stored
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class GuardedClient:
    """Fetches inputs and posts webhooks through a `GuardedBackend`.

    Follows at most three redirects, each checked.
    """

    def __init__(self, backend: GuardedBackend, timeout_s: float) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            # A kept connection would carry later requests past the check.
            network_backend=backend,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=0,
        )
        self._backend = backend
        self._timeout_s = timeout_s

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def require_allowed(self, url: str) -> None:
        """Raise AddressRefusedError for a URL that leads to an address that is refused now.

        A name that does not resolve yet may do so later. What it leads to is checked again, and
        for good, when a socket is opened.
        """
        target = checked_url(url)
        try:
            async with asyncio.timeout(_RESOLVE_S):
                is_allowed = await self._backend.allows(target.host, _port(target))
        except (OSError, UnicodeError, TimeoutError):
            return

        if not is_allowed:
            raise AddressRefusedError

    def require_plausible(self, url: str) -> None:
        """Raise AddressRefusedError for a URL that is refused for certain; nothing is resolved."""
        target = checked_url(url)
        if not self._backend.allows_literal(target.host, _port(target)):
            raise AddressRefusedError

    async def fetch(self, url: str) -> AsyncIterator[bytes]:
        """Yield the body behind `url`; raises AddressRefusedError or FetchFailedError.

        The caller bounds its size.
        """
        # For the whole transfer, redirects included: a server that trickles must end.
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        chunks = self._follow(checked_url(url), _MAX_REDIRECTS)

        try:
            while True:
                # Around our own wait alone: it must not interrupt the caller's work.
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)

                if chunk is None:
                    return

                yield chunk
        except TimeoutError as error:
            raise FetchFailedError("The URL took too long") from error
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            OSError,
        ) as error:
            # OSError: TLS failures that httpcore leaves as they are
            raise FetchFailedError from error

    async def _follow(self, url: httpx.URL, redirects_left: int) -> AsyncIterator[bytes]:
        # A compressed body could expand without bound after its size was checked.
        headers = [_host(url), ("Accept-Encoding", "identity"), ("User-Agent", "Likeness/1")]
        async with self._pool.stream("GET", str(url), headers=headers) as response:
            if response.status not in _REDIRECTS:
                _check_answer(response)
                async for chunk in response.aiter_stream():
                    yield chunk

                return

            target = _location(response)

        # After the response is closed, so that a chain holds one connection at a time.
        if redirects_left == 0:
            raise FetchFailedError("The URL redirects too often")
        async for chunk in self._follow(checked_url(str(url.join(target))), redirects_left - 1):
            yield chunk

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post `body` and return the status.

        Redirects are not followed, and at most 64 KiB of answer is read.
        """
        target = checked_url(url)
        async with asyncio.timeout(self._timeout_s):
            sent = [_host(target), *headers.items()]
            async with self._pool.stream("POST", str(target), headers=sent, content=body) as answer:
                read = 0
                async for chunk in answer.aiter_stream():
                    read += len(chunk)
                    # The receiver's answer is of no use; read a little, so that the connection ends
                    # in order.
                    if read > 65_536:
                        break

                return int(answer.status)


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _host(url: httpx.URL) -> tuple[str, str]:
    # httpcore sends what it is given; the name stays in the header though we connect to an address.
    return "Host", url.netloc.decode("ascii")


def _location(response: httpcore.Response) -> str:
    for name, value in response.headers:
        if name.lower() == b"location":
            return value.decode("latin-1")
    raise FetchFailedError("The URL redirects without a Location")


def _check_answer(response: httpcore.Response) -> None:
    # 206 and the like would be parts of a file.
    if response.status != 200:
        raise FetchFailedError(f"The URL answers with status {response.status}")
    encodings = [value for name, value in response.headers if name.lower() == b"content-encoding"]
    if any(value.strip().lower() not in (b"", b"identity") for value in encodings):
        raise FetchFailedError("The URL answers with a compressed body")
