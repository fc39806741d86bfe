"""Where the store is: in the embedded stack's data directory, or behind Sentinels.

Sentinels are asked where the primary is, for every new connection:

    redis+sentinel://[user:password@]host:port,host:port,host:port/NAME
    rediss+sentinel://...                       the same over TLS, to Sentinels and store alike

NAME is the primary's name in the Sentinels' configuration. `?sentinel_password=...` (and
`sentinel_username`) is for Sentinels that ask for a password of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from worker.errors import StoreUnsuitable

SOCKET = Path("run") / "valkey.sock"
# `user:password` of an operator who works from a command line on this machine.
OPERATOR_FILE = Path("run") / "store.operator"
# A role's name and 64 hexadecimal digits, with room.
LONGEST_CREDENTIALS_BYTES = 256

SCHEMES = ("redis+sentinel", "rediss+sentinel")
SENTINEL_PORT = 26379
# A Sentinel that does not answer at no_retry is passed over: the others know the primary as well.
SENTINEL_TIMEOUT_S = 1.0
# An election takes about two seconds. Callers retry by themselves; here only the moment in which
# the new primary is known and not yet writable is bridged.
RETRIES = 3
RETRY_BASE_S = 0.1
RETRY_CAP_S = 0.5


def embedded_store_url(data_dir: Path, descriptor: int | None) -> str:
    """Return the embedded store's URL for this process.

    API and workers of a stack inherit a descriptor of a file with their `user:password`, so that
    it is on no command line and in no environment. Without one, the operator's file is read;
    where that is missing, the store has no users.
    """
    address = (data_dir / SOCKET).resolve()
    if descriptor is not None:
        # Read at its start: a program that was restarted shares the position with its predecessor.
        user = os.pread(descriptor, LONGEST_CREDENTIALS_BYTES, 0).decode()
    else:
        user = _operator(data_dir / OPERATOR_FILE)

    return f"unix://{user}@{address}" if user else f"unix://{address}"


def _operator(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


@dataclass(frozen=True)
class SentinelAddress:
    """Where the Sentinels are, and which primary to ask them for."""

    hosts: tuple[tuple[str, int], ...]
    primary: str
    tls: bool
    credentials: Mapping[str, str] = field(repr=False)
    sentinel_credentials: Mapping[str, str] = field(repr=False)

    def pool(self, timeout_s: float) -> SentinelConnectionPool:
        """Return a pool of connections to the primary, whichever server that is by then."""
        no_retry = Retry(NoBackoff(), 0)
        sentinels = Sentinel(  # type: ignore[no-untyped-call]
            self.hosts, sentinel_kwargs=self._to_sentinels() | {"retry": no_retry}
        )
        retry = Retry(ExponentialBackoff(cap=RETRY_CAP_S, base=RETRY_BASE_S), RETRIES)
        return SentinelConnectionPool(  # type: ignore[no-untyped-call]
            self.primary, sentinels, retry=retry, **self._to_primary(timeout_s)
        )

    def async_client(self, timeout_s: float, max_connections: int) -> AsyncRedis:
        """Return a client for an event loop."""
        no_retry = AsyncRetry(NoBackoff(), 0)
        sentinels = AsyncSentinel(  # type: ignore[no-untyped-call]
            list(self.hosts), sentinel_kwargs=self._to_sentinels() | {"retry": no_retry}
        )
        client: AsyncRedis = sentinels.master_for(
            self.primary, max_connections=max_connections, **self._to_primary(timeout_s)
        )
        return client

    def _to_sentinels(self) -> dict[str, Any]:
        return {
            **self.sentinel_credentials,
            "ssl": self.tls,
            "socket_timeout": SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        }

    def _to_primary(self, timeout_s: float) -> dict[str, Any]:
        return {
            **self.credentials,
            "ssl": self.tls,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            # After a failover an idle connection may lead to a server that is primary no more.
            "health_check_interval": 30,
        }


def sentinel_address(url: str) -> SentinelAddress | None:
    """Return what a URL says of Sentinels; None for the address of a single server.

    Raises:
        StoreUnsuitable: it names Sentinels and no primary, or no host.
    """
    scheme, _, _ = url.partition("://")
    if scheme not in SCHEMES:
        return None

    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    primary = parts.path.strip("/")
    query = parse_qs(parts.query)

    try:
        addresses = tuple(_host(host) for host in hosts.split(",") if host)
    except ValueError as error:
        raise StoreUnsuitable(f"A Sentinel's port must be a number: {hosts}") from error

    if not addresses or not primary or "/" in primary:
        raise StoreUnsuitable(
            "Sentinels are given as redis+sentinel://host:port,host:port,host:port/NAME,"
            " where NAME is the primary's name in their configuration."
        )

    return SentinelAddress(
        hosts=addresses,
        primary=primary,
        tls=scheme.startswith("rediss"),
        credentials=_credentials(unquote(name), unquote(password)),
        sentinel_credentials=_credentials(
            query.get("sentinel_username", [""])[0], query.get("sentinel_password", [""])[0]
        ),
    )


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):  # no port; the colons are those of an IPv6 address
        host = text
        port = str(SENTINEL_PORT)

    return host.strip("[]"), int(port)


def _credentials(user: str, password: str) -> dict[str, str]:
    given = {"username": user, "password": password}
    return {name: value for name, value in given.items() if value}
