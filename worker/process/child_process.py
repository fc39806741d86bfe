"""The parent's side of a warm child: start it, give it work, hear of its end."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from worker.contract import QueueName, Strict
from worker.errors import WorkerError
from worker.sandbox.limits import device_environment
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
READY, DONE = b"R", b"."
# glibc gives each thread an arena of its own, which RLIMIT_AS counts and in which memory creeps
# over a film's segments; and it hands a network's buffers back to the kernel after every pass,
# which costs 4 ms of page faults a frame. So: one arena, buffers kept.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
DIED = 1 << 8  # the wait status of exit code 1: a child that leaves a job never did it


class ChildOrder(Strict):
    """The child's first line: what to be.

    In no environment and no command line, for the address may hold a secret.
    """

    worker: str
    queue: QueueName
    parent_pid: int
    settings: WorkerSettings


class ChildFailed(WorkerError):
    code = "child_failed"
    message = "The worker's child did not start."


class WarmChild:
    """One child process at a time, freshly exec'ed, in a session of its own, with a near-empty
    environment.

    It answers `R` once its models are loaded and `.` after each job; its end closes the socket.
    """

    def __init__(self, worker: str, queue: QueueName, settings: WorkerSettings) -> None:
        self._order = ChildOrder(
            worker=worker, queue=queue, parent_pid=os.getpid(), settings=settings
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._ready = False
        self._sending = threading.Lock()

    @property
    def pid(self) -> int:
        """The child's process id, 0 when there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start a child and return at once; it loads its models meanwhile.

        From the main thread only: the kernel's death signal follows the thread that forked.
        """
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-s", "-m", "worker.process.warm_child"]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=theirs.fileno(),
                cwd=ROOT,
                env=child_environment(),
                start_new_session=True,
            )
        self._channel, self._ready = ours, False
        self.tell(self._order.model_dump(mode="json"))

    def await_ready(self) -> None:
        """Wait until the models are loaded; raises ChildFailed."""
        channel = self._open_channel()
        if not self._ready:
            channel.settimeout(START_TIMEOUT_S)
            try:
                self._ready = channel.recv(1) == READY
            except TimeoutError:
                log.error("child not ready in time", extra={"pid": self.pid})
            finally:
                channel.settimeout(None)
        if not self._ready:
            raise ChildFailed

    def perform(self, job: Mapping[str, Any]) -> None:
        """Hand over a job; a child that died idle is replaced first. Raises ChildFailed."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self.start()
        self.await_ready()
        channel = self._open_channel()
        channel.setblocking(False)
        try:
            while channel.recv(64):  # the answer to the job before
                pass
        except BlockingIOError:
            pass
        finally:
            channel.setblocking(True)
        self.tell(job)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a line; a child that is gone is noticed elsewhere. From any thread."""
        with self._sending:
            if self._channel is not None:
                try:
                    self._channel.sendall(json.dumps(message).encode() + b"\n")
                except OSError:
                    log.warning("child is gone", extra={"pid": self.pid})

    def wait(self) -> tuple[int, int, resource.struct_rusage | None]:
        """Wait for the job's end or the child's: (pid, wait status, usage), status 0 when the job
        was done.

        RQ's monitor interrupts this with an exception from a signal handler every few seconds.
        """
        pid = self.pid
        # Peeked, not read: the monitor's alarm may fire between the read and the return, and the
        # answer be lost.
        if self._open_channel().recv(1, socket.MSG_PEEK):
            return pid, 0, None
        try:
            _, status, usage = os.wait4(pid, 0)
        except ChildProcessError:  # reaped just before an alarm
            status, usage = DIED, None
        self._forget()
        return pid, status or DIED, usage

    def rss_bytes(self) -> int:
        """Memory the child holds, 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except OSError:
            return 0
        return pages * resource.getpagesize()

    def stop(self) -> None:
        """End the child: by closing its input, else by force."""
        if self._channel is not None:
            with suppress(OSError):
                self._channel.shutdown(
                    socket.SHUT_WR
                )  # closing would reset it while answers lie unread
        if self._process is not None:
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._forget()

    def _open_channel(self) -> socket.socket:
        if self._channel is None:
            raise ChildFailed
        return self._channel

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None and self._process.returncode is None:
            self._process.returncode = 0  # reaped by wait4; keeps Popen from waiting for it again
        self._process = self._channel = None
        self._ready = False


def child_environment() -> dict[str, str]:
    """As little as the interpreter and the GPU libraries need.

    No credentials, no user's settings.
    """
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    fixed = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    return device_environment() | zone | fixed | ALLOCATOR
