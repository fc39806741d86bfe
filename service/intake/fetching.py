"""Outgoing HTTP for inputs and webhooks: only to public addresses, checked where the socket is
opened.

FetchError               nothing was fetched
├── AddressRefusedError       the URL or an address it leads to is not allowed (`fetch_refused`)
└── FetchFailedError          the other side, or the network, failed (`fetch_failed`)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from ipaddress import ip_address

import httpcore
import httpx

from service.intake.address_guard import AddressGuard
from service.protocol.problems import ServiceError

Resolver = Callable[[str, int], Awaitable[list[str]]]

MAX_CONNECTIONS = 256  # of one client; who may use them is decided before
# Enough for http to https, a host name with www, and a content delivery network.
_MAX_REDIRECTS = 3
_RESOLVE_S = 5.0  # of a look before a URL is stored
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchError(ServiceError):
    """Nothing was fetched."""


class AddressRefusedError(FetchError):
    """The URL, or an address behind it, is not allowed.

    The detail does not say which address it led to.
    """

    def __init__(self, detail: str = "The URL does not lead to a public web server") -> None:
        super().__init__("fetch_refused", detail)


class FetchFailedError(FetchError):
    """The server did not deliver the file."""

    def __init__(self, detail: str = "The URL could not be fetched") -> None:
        super().__init__("fetch_failed", detail)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`.

    What the system's resolver takes for one (decimal, octal, hex) counts.
    """
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """A network backend that resolves once, checks every address, and connects to one that it
    checked.
    """

    def __init__(
        self,
        guard: AddressGuard,
        resolver: Resolver = resolve,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._resolve = resolver
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            # Once: a name that resolves twice could answer with another address the second time
            # (DNS rebinding).
            addresses = await self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name does not resolve") from error

        if not self._allows_all(addresses, port):
            raise AddressRefusedError

        # To the address that was checked, not to the name.
        return await self._inner.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def allows(self, host: str, port: int) -> bool:
        """Return whether `host` leads to addresses that may be connected to, now.

        Raises OSError or UnicodeError when it does not resolve.
        """
        return self._allows_all(await self._resolve(host.strip("[]"), port), port)

    def _allows_all(self, addresses: list[str], port: int) -> bool:
        # All of them: a name with one private address among public ones is a trick.
        return bool(addresses) and all(
            self._guard.allows(ip_address(address), port) for address in addresses
        )

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the backend's interface; a local socket is never a client's input
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefusedError

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


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
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            async with asyncio.timeout(_RESOLVE_S):
                is_allowed = await self._backend.allows(target.host, port)
        except (OSError, UnicodeError, TimeoutError):
            return

        if not is_allowed:
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
                async with asyncio.timeout_at(
                    deadline
                ):  # around our own wait: it must not interrupt the caller's work
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


def checked_url(text: str) -> httpx.URL:
    """Return `text` as a URL that may be tried: http or https, a host, no user name.

    Else AddressRefusedError.
    """
    try:
        url = httpx.URL(text)
        host = url.host  # decodes international names, and fails on those that are none
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefusedError("The URL is malformed") from error

    # httpx takes any number, and the resolver would fail on it in its own ways.
    if url.port is not None and not 0 < url.port < 65_536:
        raise AddressRefusedError("The URL is malformed")
    if url.scheme not in ("http", "https") or not host:
        raise AddressRefusedError("Only http and https URLs may be fetched")
    # A trailing dot is the root's; an empty label before it names nothing.
    if not all(host.removesuffix(".").split(".")) and ":" not in host:
        raise AddressRefusedError("The URL is malformed")
    # http://trusted.example@attacker.example reads like another host.
    if url.userinfo:
        raise AddressRefusedError("The URL may not carry a user name")

    return url


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
