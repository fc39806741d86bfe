"""Connections to public addresses only, checked where the socket is opened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

import httpcore

from service.intake.address_guard import AddressGuard
from service.intake.outgoing_urls import AddressRefusedError

Resolver = Callable[[str, int], Awaitable[list[str]]]


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

    def allows_literal(self, host: str, port: int) -> bool:
        """Return False for an address that may not be connected to, without any look-up.

        A name passes: what it leads to is known once it is resolved.
        """
        try:
            # As `resolve` would read it, decimal, octal and hex included.
            entries = socket.getaddrinfo(host.strip("[]"), port, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return True

        return self._allows_all([str(entry[4][0]) for entry in entries], port)

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
