"""A primary with two replicas and three Sentinels on loopback, and lines between them that lag."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis

from service.stack.embedded_store import find_store_server
from tests.store_server import StoreServer
from tests.worker.workers import eventually

NAME = "likeness"
# How soon Sentinels call a server down. A second is the shortest that a busy machine does not
# take for a death.
DOWN_AFTER_MS = 1000
FAILOVER_TIMEOUT_MS = 3000
QUORUM = 2


class LaggingLine:
    """Forwards a replica's link to its primary; what the primary sends arrives `lag_s` later.

    What is under way when the primary dies is lost, as on a wire.
    """

    def __init__(self, to_port: int) -> None:
        self.lag_s = 0.0
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                replica, _ = self._listener.accept()
                try:
                    primary = socket.create_connection(("127.0.0.1", self._to_port))
                except OSError:
                    replica.close()
                    continue
                threading.Thread(target=_forward, args=(replica, primary), daemon=True).start()
                threading.Thread(
                    target=self._forward_late, args=(primary, replica), daemon=True
                ).start()

    def _forward_late(self, primary: socket.socket, replica: socket.socket) -> None:
        under_way: deque[tuple[float, bytes]] = deque()
        arrived = threading.Condition()
        over = threading.Event()

        def deliver() -> None:
            while not over.is_set():
                with arrived:
                    if not under_way:
                        arrived.wait(0.05)
                        continue
                    sent_at, chunk = under_way[0]
                if (left_s := sent_at + self.lag_s - time.monotonic()) > 0:
                    time.sleep(min(left_s, 0.05))
                    continue
                under_way.popleft()
                with suppress(OSError):
                    replica.sendall(chunk)

        threading.Thread(target=deliver, daemon=True).start()
        with suppress(OSError):
            while chunk := primary.recv(1 << 16):
                with arrived:
                    under_way.append((time.monotonic(), chunk))
                    arrived.notify()

        over.set()
        for end in (primary, replica):
            end.close()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)

    for end in (source, target):
        end.close()


class SentinelGroup:
    """What a service behind Sentinels is told: `url`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._primary_port = free_port()
        self._ports = [free_port() for _ in range(3)]
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._by_port: dict[int, StoreServer] = {}
        self.primary = self._server("primary", self._primary_port)
        self.lines = [LaggingLine(self._primary_port) for _ in range(2)]
        self.replicas = [
            self._server(f"replica{number}", free_port(), f"127.0.0.1 {line.port}")
            for number, line in enumerate(self.lines)
        ]

    def current_primary(self) -> StoreServer:
        """Return the server that the Sentinels name."""
        with Redis(port=self._ports[0], socket_timeout=1.0) as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name(NAME)
        return self._by_port[int(port)]

    def start(self) -> None:
        """Return once the replicas are in step and the Sentinels know all of them."""
        for server in (self.primary, *self.replicas):
            server.start()

        # Sentinels learn of replicas from the primary, by the ports that these announce.
        eventually(self._in_step, 30, "replicas in step")
        self._sentinels += [self._sentinel(port, self._primary_port) for port in self._ports]
        eventually(self._know_each_other, 30, "Sentinels that know each other")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis+sentinel://{hosts}/{NAME}"

    def lag(self, *seconds: float) -> None:
        """Delay what the first and the second replica are sent."""
        for line, lag_s in zip(self.lines, seconds, strict=True):
            line.lag_s = lag_s

    def kill_primary(self) -> None:
        self.primary.kill()

    def close(self) -> None:
        for process in self._sentinels:
            process.kill()
            process.wait(timeout=10)
        for server in (self.primary, *self.replicas):
            with suppress(AssertionError):
                server.kill()
        for line in self.lines:
            line.close()

    def _server(self, name: str, port: int, primary: str = "") -> StoreServer:
        directory = self._directory / name
        directory.mkdir()
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            # As an operator would: no diskless delay, and links that are noticed to be dead.
            "repl-diskless-sync-delay": "0",
            "repl-timeout": "10",
        }
        options |= {"replicaof": primary} if primary else {}
        self._by_port[port] = StoreServer(directory, options)
        return self._by_port[port]

    def _sentinel(self, port: int, primary_port: int) -> subprocess.Popen[bytes]:
        config = self._directory / f"sentinel-{port}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._directory}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary_port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}\n"
            f"sentinel parallel-syncs {NAME} 2\n"
        )
        with (self._directory / f"sentinel-{port}.log").open("ab") as log:
            return subprocess.Popen(
                [str(find_store_server()), str(config), "--sentinel"], stdout=log, stderr=log
            )

    def _in_step(self) -> bool:
        with Redis.from_url(self.primary.url) as primary:
            found = primary.info("replication")
        return sum(found.get(f"slave{n}", {}).get("state") == "online" for n in range(2)) == 2

    def _know_each_other(self) -> bool:
        for port in self._ports:
            with suppress(OSError), Redis(port=port, socket_timeout=1.0) as sentinel:
                known = sentinel.sentinel_master(NAME)
                if (known["num-other-sentinels"], known["num-slaves"]) != (2, 2):
                    return False
        return True


class SentinelStore(StoreServer):
    """A group that is killed and started as one server would be.

    `kill` kills whoever is primary; `start` returns when another one is, with the killed one back.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._group = SentinelGroup(directory)
        self._killed: StoreServer | None = None
        self.url = self._group.url

    def start(self) -> None:
        if self._killed is None:
            self._group.start()
            return

        killed = self._killed
        eventually(lambda: self._group.current_primary() is not killed, 30, "promoted replica")
        killed.start()

    def kill(self) -> None:
        self._killed = self._group.current_primary()
        self._killed.kill()

    def close(self) -> None:
        self._group.close()


@contextmanager
def sentinel_group() -> Iterator[SentinelGroup]:
    """Yield a group in a directory of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        group = SentinelGroup(Path(directory))
        try:
            group.start()
            yield group
        finally:
            group.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
