"""The parent's side of a warm child: start it, have it perform attempts, hear of its end."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from worker.contract.requests import QueueName
from worker.errors import AttemptTimedOut, WorkerError
from worker.job_context import Performed
from worker.process.attempts.attempt_server import AttemptServer, ChildLost, ServedAttempt
from worker.process.requests import ChildOrder, Hello
from worker.process.staging import Staging
from worker.sandbox.confinement import Protection
from worker.sandbox.limits import device_environment
from worker.sandbox.messages import Channel, Message
from worker.settings import WorkerSettings
from worker.stores.jobs.deliveries import ATTEMPT_TIMEOUT_S

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0  # a pack is loaded and warmed within 3 s; a busy machine takes its time
# Closing its input ends an idle child within a few hundredths of a second.
STOP_TIMEOUT_S = 5.0
# glibc gives each thread an arena of its own, which RLIMIT_AS counts and in which memory creeps
# over a video's segments; and it hands a network's buffers back to the kernel after every pass,
# which costs 4 ms of page faults a frame. So: one arena, buffers kept. numpy's matrix library would
# share products of a few hundred rows out over threads, on the cores that decoder and encoder need.
NATIVE_LIBRARIES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}
DIED = 1 << 8  # the wait status of exit code 1: a child that leaves a job never did it


class ChildFailed(WorkerError):
    code = "child_failed"
    message = "The worker's child did not start."


class WarmChild:
    """One child process at a time, freshly exec'ed, in a session of its own, with a near-empty
    environment.

    It says hello once its models are loaded; its end closes the channel.
    """

    def __init__(self, queue: QueueName, settings: WorkerSettings, staging: Staging) -> None:
        self._timeout_s = ATTEMPT_TIMEOUT_S[queue]
        self._order = ChildOrder(
            queue=queue,
            parent_pid=os.getpid(),
            # The store's address may hold a secret, and the child has no use for it.
            settings=settings.model_copy(update={"redis_url": "", "media": ""}),
            inward=staging.inward,
            outward=staging.outward,
            cpu_s=self._timeout_s * (os.cpu_count() or 1),
        )

        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._hello: Hello | None = None
        self.protection = Protection()  # what confined the child that was ready last
        self.lost = False  # killed over an attempt, and not reaped yet

    @property
    def pid(self) -> int:
        """The child's process id, 0 when there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start a child and return at once; it loads its models meanwhile.

        From the main thread only: the kernel's death signal follows the thread that forked.
        """
        ours, theirs = socket.socketpair()
        # -s: packages in a user's home directory are not part of the installation.
        command = [sys.executable, "-s", "-m", "worker.process.warm_child"]

        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=theirs.fileno(),
                cwd=ROOT,
                env=child_environment(self._order.outward),
                # Ctrl-C in a terminal must reach the parent alone, which decides what becomes of
                # the job.
                start_new_session=True,
            )

        self._channel = Channel(ours)
        self._hello = None

        with suppress(OSError):  # noticed by whoever waits for it
            self._channel.send(Message(self._order.model_dump(mode="json")))

    def await_ready(self) -> None:
        """Wait until the models are loaded; raises ChildFailed."""
        if self._hello is not None:
            return
        try:
            # The hello comes before any untrusted byte, so it can be believed.
            said = self._open_channel().receive(START_TIMEOUT_S)
            self._hello = Hello.model_validate(said.header) if said else None
        except (OSError, ValueError) as error:
            log.error("child not ready", extra={"pid": self.pid, "error": type(error).__name__})

        if self._hello is None:
            raise ChildFailed

        self.protection = self._hello.protection

    def ensure_ready(self) -> None:
        """Replace a child that died idle, and wait until it is ready; raises ChildFailed."""
        # A child that died idle: nobody waited for it, so nobody has noticed.
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self.start()
        self.await_ready()

    def perform(self, attempt: ServedAttempt) -> Performed:
        """Have the child perform an attempt; see `AttemptServer.run` for what it raises.

        A child that is of no further use is killed, and is the caller's to `reap`.
        """
        if self._channel is None or self._hello is None:
            raise ChildFailed

        server = AttemptServer(attempt, self._channel, self._hello.pack, self._timeout_s)
        try:
            return server.run()
        except (AttemptTimedOut, ChildLost):
            # RQ's own thread reaps it and books the attempt as lost; see `WarmWorker`.
            self.lost = True
            self._kill()
            raise

    def forget(self, identity_id: str) -> None:
        """Have the child drop what it holds of an identity, also during a job; from any thread."""
        # A copy: another thread may close and clear it meanwhile.
        channel = self._channel
        if channel is not None:
            try:
                channel.send(Message({"forget": identity_id}))
            except OSError:
                log.warning("child is gone", extra={"pid": self.pid})

    def reap(self) -> tuple[int, int, resource.struct_rusage | None]:
        """Wait for the end of a child that is dying; return its id, wait status and usage."""
        pid = self.pid
        try:
            # wait4, because RQ wants the usage of what it takes for its work horse.
            _, status, usage = os.wait4(pid, 0)
        except ChildProcessError:  # reaped before
            status = DIED
            usage = None

        self._forget_process()
        # A status of 0 would read as an attempt that ended well.
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
            # An end of input, which an idle child takes as its own end.
            self._channel.end()
        if self._process is not None:
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

        self._forget_process()

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # as the kernel may have done already
                os.kill(self._process.pid, signal.SIGKILL)

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise ChildFailed
        return self._channel

    def _forget_process(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None and self._process.returncode is None:
            self._process.returncode = 0  # reaped by wait4; keeps Popen from waiting for it again

        self._process = None
        self._channel = None
        self._hello = None
        self.lost = False


def child_environment(temporary: Path) -> dict[str, str]:
    """Return as little as the interpreter, torch and the GPU libraries need.

    No credentials, no user's settings. Torch asks for a user's name and a directory to write to.
    """
    # Logs of one machine should agree about the time.
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    fixed = {
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(temporary),
        "USER": "likeness",
    }
    return device_environment() | zone | fixed | NATIVE_LIBRARIES
