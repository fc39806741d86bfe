"""A small installation for the bars of jobs: a store, an API, workers, and a keeper who starts
again what died.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx

from benchmarks.bar import TookTooLong
from tests.conftest import new_store
from tests.material import PACKS, ROOT
from tests.worker.workers import Bench, eventually, kill_tree
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.key_store import SCOPES, KeyStore


@dataclass
class Keeper:
    """Restarts processes whenever they end, as `restart: unless-stopped` would."""

    start: dict[str, Callable[[], subprocess.Popen[bytes]]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _watching: threading.Thread | None = None

    def keep(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.running[name] = start()
        self.start[name] = start

    def kill(self, name: str) -> bool:
        """kill -9 a process and its children; False when it was not alive."""
        process = self.running[name]
        if process.poll() is not None:
            return False

        # With its children: one that goes on working would finish the job that is to be lost.
        kill_tree(process.pid)
        # A process that ended by itself a moment before is not a kill that counts.
        return process.wait(timeout=10) == -signal.SIGKILL

    def start_watching(self) -> None:
        # A daemon: a bar that fails must not hang on its keeper.
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _watch(self) -> None:
        # Often enough that a killed worker is missed for no longer than a supervisor would take.
        while not self._over.wait(0.1):
            for name, start in self.start.items():
                if self.running[name].poll() is not None:
                    self.running[name] = start()
                    self.restarts += 1

    def stop(self) -> None:
        """End everything: first the watching, which would start again what is killed here."""
        self._over.set()
        if self._watching is not None:
            self._watching.join(timeout=10)

        for process in self.running.values():
            kill_tree(process.pid)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)


class Stack:
    """What a bar runs on; `with running_stack() as here:`."""

    def __init__(self, directory: Path, limits: JobLimits | None) -> None:
        self.directory = directory
        self.store = new_store(directory)
        self.store.start()
        self.bench = Bench(self.store.url, directory / "data", limits)
        self.keeper = Keeper()
        # Taken and let go: should another program get it in between, the API ends with an error.
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.keeper.start_watching()

    def add_worker(
        self,
        name: str,
        queue: str = "video",
        small: bool = True,
        store: str | None = None,
        data: str | None = None,
        **environment: str,
    ) -> None:
        """Keep a worker alive; `small` ones run the tests' own use cases, `store` is an address.

        With `data` it has a data directory of its own, as on another machine.
        """
        # Their tasks sleep and fail as told; models would cost seconds and add nothing to what is
        # judged.
        extra = ["--use-cases", "tests.worker.small_use_cases"] if small else []
        command = [
            # Started as an operator would, not called: a bar judges processes, their signals and
            # their ends.
            "worker",
            "--queue",
            queue,
            "--store",
            store or self.store.url,
            "--data",
            data or str(self.bench.data_dir),
            *extra,
        ]
        self.keeper.keep(name, lambda: self._spawn("workers.log", command, environment))

    def add_api(self, **environment: str) -> None:
        """Keep the real HTTP service alive, as a process of its own."""
        port = self.url.rpartition(":")[2]
        settings = {
            "PORT": port,
            "DATA_DIR": str(self.bench.data_dir),
            "REDIS_URL": self.store.url,
        } | environment
        self.keeper.keep("api", lambda: self._spawn("api.log", ["service", "serve"], settings))

    def await_api(self, timeout_s: float = 60.0) -> float:
        """Wait until the API answers; returns how long that took."""
        # A minute, since all of the service is imported, perhaps by several processes at once.
        return eventually(lambda: _answers(self.url), timeout_s, "API")

    def await_workers(self, count: int) -> None:
        """Wait until so many workers are registered and idle or busy."""
        eventually(lambda: len(self.bench.stores.queue.workers()) >= count, 60, f"{count} workers")

    def token(self, tenant: str = "acme") -> str:
        """Return a new key of this tenant."""
        return KeyStore(self.bench.stores.jobs.redis).create(tenant, SCOPES)[1]

    def client(self, tenant: str = "acme", timeout_s: float = 30.0) -> httpx.Client:
        """Return an HTTP client with a new key."""
        # `trust_env`: a proxy of this machine must not see loopback.
        headers = {"Authorization": f"Bearer {self.token(tenant)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        # The keeper first, or it would start again what is ended here.
        self.keeper.stop()
        self.bench.close()
        self.store.close()

    def _spawn(
        self, log: str, command: list[str], environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        # What this machine sets for its own use is left in place.
        given = {f"LIKENESS_{name.upper()}": value for name, value in environment.items()}
        with (self.bench.data_dir / log).open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=os.environ
                | {"LIKENESS_PACKS_DIR": str(PACKS), "LIKENESS_MEDIA": self.bench.media}
                | given,
                stdout=stream,
                stderr=stream,
            )


@contextmanager
def running_stack(limits: JobLimits | None = None) -> Iterator[Stack]:
    """Yield a stack in a directory of its own, gone afterwards."""
    # What the store's own children still write while it is removed must not fail the bar.
    with tempfile.TemporaryDirectory(prefix="lk-", ignore_cleanup_errors=True) as directory:
        (Path(directory) / "data").mkdir()
        here = Stack(Path(directory), limits)

        try:
            yield here
        finally:
            here.close()


@contextmanager
def stopwatch(bound_s: float) -> Iterator[None]:
    """Say how long a bar takes, and end one that takes longer than it may.

    Raises TookTooLong, from wherever the main thread is.
    """

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(bound_s)

    # A signal reaches the main thread wherever it waits; a check between steps would not.
    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, bound_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        print(f"took {time.monotonic() - began:.0f} s (bounded by {bound_s:.0f} s)")


def pick_victim(keeper: Keeper, dice: random.Random, prefix: str) -> bool:
    """kill -9 one process tree whose name begins so; False when it was dead already."""
    return keeper.kill(dice.choice([name for name in keeper.running if name.startswith(prefix)]))


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    # The value at or above that share; for few values that is the largest.
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=1.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
