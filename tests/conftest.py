"""A real store for every test that wants one: one Valkey per session on a unix socket, emptied for
each test.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from redis import Redis
from redis.exceptions import RedisError

from service.stack.embedded_store import find_store_server
from tests.clock import Clock
from tests.object_server import ObjectServer

START_TIMEOUT_S = 10.0


class StoreServer:
    """A Valkey of our own in a directory; may be killed and started again on what it left there."""

    def __init__(self, directory: Path, options: Mapping[str, str] = MappingProxyType({})) -> None:
        self.directory = directory
        self._options = options
        self.socket = directory / "store.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            **self._options,
        }

        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.directory / "store.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(find_store_server()), *arguments], stdout=log, stderr=log
            )

        self._wait_until_it_answers()

    def kill(self) -> None:
        """As `kill -9`: whatever is not on the disk is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=START_TIMEOUT_S)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                Redis.from_url(self.url, socket_timeout=1.0).ping()
                return
            except RedisError:
                time.sleep(0.02)

        raise TimeoutError(f"no store on {self.socket} within {START_TIMEOUT_S} s")

    def close(self) -> None:
        """End all that was started."""
        self.kill()


@contextmanager
def running_store() -> Iterator[StoreServer]:
    """Yield a store server in a directory of its own, killed and gone afterwards."""
    # Not under pytest's own directories: a socket's path may have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        server = new_store(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.close()


def new_store(directory: Path) -> StoreServer:
    """Return one server, or a group behind Sentinels where LIKENESS_TEST_STORE says `sentinels`.

    The bars of jobs run on both (`make bar BAR=R-1 ON=sentinels`).
    """
    if os.environ.get("LIKENESS_TEST_STORE") != "sentinels":
        return StoreServer(directory)

    from tests.worker.stores.sentinel_group import SentinelStore  # it imports this module

    return SentinelStore(directory)


@pytest.fixture(scope="session")
def store_server() -> Iterator[StoreServer]:
    """The session's shared store server; tests that kill or fill a store start one of their own."""
    with running_store() as server:
        yield server


@pytest.fixture
def own_store_server() -> Iterator[StoreServer]:
    """A store server that this test alone uses and may kill."""
    with running_store() as server:
        yield server


@pytest.fixture
def store(store_server: StoreServer) -> Iterator[Redis]:
    """A client of an empty store."""
    with Redis.from_url(store_server.url, socket_timeout=5.0) as client:
        client.flushall()
        yield client


@pytest.fixture
def store_url(store: Redis, store_server: StoreServer) -> str:
    """The address of the store that `store` talks to."""
    return store_server.url


@pytest.fixture
def clock() -> Clock:
    """A time that the test moves."""
    return Clock()


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """The session's object server."""
    server = ObjectServer()
    yield server
    server.close()


@pytest.fixture
def bucket(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bucket of this test's own; the environment says how to reach it."""
    for name, value in object_server.environment.items():
        monkeypatch.setitem(os.environ, name, value)
    return object_server.new_bucket()
