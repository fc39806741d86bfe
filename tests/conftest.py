"""A real store for every test that wants one: one Valkey per session on a unix socket, emptied for
each test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.clock import Clock
from tests.object_server import ObjectServer
from tests.store_server import StoreServer
from tests.worker.stores.sentinel_group import SentinelStore
from worker.stores.connection import connect


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
    with connect(store_server.url) as client:
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
