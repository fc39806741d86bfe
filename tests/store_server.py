"""A store server that a test starts, kills, and starts again on what it left."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from redis import Redis
from redis.exceptions import RedisError

from service.stack.embedded_store import find_store_server

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
