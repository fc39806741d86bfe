"""The whole service on one machine: store, API and workers under one supervisor, state in one data
directory.
"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.settings import Settings
from service.stack.embedded_store import locked, store_program, wait_until_ready
from service.stack.store_users import Role, StoreUsers
from service.stack.supervisor import Program, Supervisor

# Together under 30 s, after which an init system or container runtime would kill us halfway.
DRAIN_TIMEOUT_S = 22.0
STORE_STOP_TIMEOUT_S = 6.0
# Loading models on a busy machine with a cold disk; the store may replay its log before.
STARTUP_TIMEOUT_S = 90.0
# Two deaths may be a race at the start; three are a fault that the log explains.
DEATHS_BEFORE_GIVING_UP = 3


class StackStartError(Exception):
    """A part keeps ending or the API does not become ready.

    The message names the log that says why.
    """


@dataclass(frozen=True)
class Stack:
    """A running stack: where it listens, where its store is, and what keeps it up."""

    url: str
    store_url: str
    supervisor: Supervisor


def worker_queues() -> tuple[str, ...]:
    """Name the queues this machine can serve; refinement needs torch, which is an extra."""
    return ("image", "video", "refine") if importlib.util.find_spec("torch") else ("image", "video")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Stack]:
    """Run the stack for the length of a `with` block and stop it within 30 s.

    Raises EmbeddedStoreError or StackStartError when it does not come up.
    """
    data_dir = settings.data_dir.resolve()
    _prepare(data_dir)
    supervisor = Supervisor(data_dir / "logs")

    # The lock first: two stores on one directory would destroy its log.
    with locked(data_dir) as lock_fd, closing(_listen(settings.host, settings.port)) as listener:
        try:
            users: StoreUsers | None = None
            if not settings.redis_url:
                users = StoreUsers(data_dir)
                supervisor.start(
                    store_program(data_dir, lock_fd, settings.store_memory_bytes, users)
                )

            # API and workers would start, fail and be restarted until the store has loaded its
            # data.
            await wait_until_ready(settings.store_url, STARTUP_TIMEOUT_S)
            for program in _programs(settings, data_dir, listener, users):
                supervisor.start(program)

            url = _url(listener)
            await _until_api_ready(url, supervisor)
            yield Stack(url, settings.store_url, supervisor)
        finally:
            listener.close()  # refuses new connections while the API finishes those it has
            # The store last: workers hand back their tasks while they stop.
            await supervisor.stop(set(supervisor.programs) - {"store"}, DRAIN_TIMEOUT_S)
            await supervisor.stop({"store"}, STORE_STOP_TIMEOUT_S)


def _prepare(data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    # Also where it existed already: whatever is in it holds people's faces.
    data_dir.chmod(0o700)
    for name in ("run", "store", "logs"):
        (data_dir / name).mkdir(mode=0o700, exist_ok=True)


def _listen(host: str, port: int) -> socket.socket:
    """Open the API's listening socket here, so that connections wait, not fail, while the API
    restarts.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # A client connects to an address, not to "any".
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _programs(
    settings: Settings, data_dir: Path, listener: socket.socket, users: StoreUsers | None
) -> list[Program]:
    """Return API and workers, each with the store's address, or who it is to the embedded one."""
    environment = {
        "LIKENESS_DATA_DIR": str(data_dir),
        "LIKENESS_PACKS_DIR": str(settings.packs_root.resolve()),
    }

    def program(name: str, role: Role, *command: str, keep_fds: tuple[int, ...] = ()) -> Program:
        store = {"LIKENESS_REDIS_URL": settings.redis_url}
        if users is not None:
            credentials = users.descriptor(role)
            store = {"LIKENESS_STORE_CREDENTIALS_FD": str(credentials)}
            # Inherited as an open file, so that the password is on no command line and in no
            # environment.
            keep_fds = (*keep_fds, credentials)

        return Program(
            name, (sys.executable, "-m", *command), {**environment, **store}, keep_fds=keep_fds
        )

    # Opened before anything starts: connections wait while the API loads.
    listening = listener.fileno()
    workers = [
        program(f"worker-{queue}", "worker", "worker", "--queue", queue)
        for queue in worker_queues()
    ]
    serve = ("service", "serve", "--fd", str(listening))

    return [program("api", "api", *serve, keep_fds=(listening,)), *workers]


async def _until_api_ready(url: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    async with httpx.AsyncClient(base_url=url, timeout=5.0, trust_env=False) as client:
        while not await _answers_ready(client):
            for name, program in supervisor.programs.items():
                if program.restarts >= DEATHS_BEFORE_GIVING_UP:
                    raise StackStartError(
                        f"{name} keeps ending; logs/{name}.log in the data directory says why"
                    )

            if time.monotonic() > deadline:
                raise StackStartError(
                    "the API did not become ready; logs/api.log in the data directory says why"
                )

            await asyncio.sleep(0.1)


async def _answers_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
