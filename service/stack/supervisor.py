"""Keeps programs running: starts them, restarts what dies with a growing pause, and stops them in
time.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

STABLE_AFTER_S = 30.0  # a program that ran this long is forgiven its earlier deaths
# A fault that lasts costs four starts a minute, and a repaired one is noticed soon.
LONGEST_PAUSE_S = 15.0
# Two files each: five programs stay below 200 MB together.
MAX_LOG_BYTES = 16 * 1024 * 1024
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """A command to keep running.

    `environment` is added to our own, `keep_fds` stay open in the child, `stdin` is what it reads
    from its standard input at each start.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_fds: tuple[int, ...] = ()
    stdin: bytes = field(default=b"", repr=False)


def restart_pause_s(deaths: int) -> float:
    """Return the seconds to wait after so many deaths in a row: 0.25, 0.5, 1 … 15."""
    return min(LONGEST_PAUSE_S, 0.25 * 2.0 ** min(deaths - 1, 10))


class SupervisedProgram:
    """One program and the task that keeps it alive until `stop`."""

    def __init__(self, program: Program, log_path: Path, log_look_s: float) -> None:
        self.name = program.name
        self.restarts = 0
        self._program = program
        self._log_path = log_path
        self._log_look_s = log_look_s
        self._process: Process | None = None
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._keep_running())

    @property
    def pid(self) -> int | None:
        """The running process, or None between two starts."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def stop(self, timeout_s: float) -> None:
        """Ask with SIGTERM, and after `timeout_s` end the program's process group with SIGKILL."""
        self._stop.set()
        if self._process and self.pid is not None:
            self._process.terminate()

        # The keeping task ends with its program, so waiting for it is waiting for both.
        done, _ = await asyncio.wait({self._task}, timeout=timeout_s)
        if not done and self._process and self.pid is not None:
            log.warning("%s did not stop in time and is killed", self.name)
            os.killpg(self._process.pid, signal.SIGKILL)

        await self._task

    async def _keep_running(self) -> None:
        deaths = 0
        while not self._stop.is_set():
            started = time.monotonic()
            end = await self._run_once()

            if self._stop.is_set():
                return

            # A program that worked for a while gets the short pause again.
            deaths = 1 if time.monotonic() - started > STABLE_AFTER_S else deaths + 1
            pause_s = restart_pause_s(deaths)
            log.warning("%s %s, starting it again in %.2g s", self.name, end, pause_s)
            await self._pause(pause_s)
            # Counted before each further start: `up` gives up by this number.
            self.restarts += 1

    async def _run_once(self) -> str:
        """Run the program to its end and say how it ended."""
        try:
            self._process = await self._spawn()
        except OSError as error:
            return f"could not start ({error.strerror})"

        ended = asyncio.create_task(self._process.wait())
        while not (await asyncio.wait({ended}, timeout=self._log_look_s))[0]:
            _bound_log(self._log_path)

        return f"ended ({ended.result()})"

    async def _spawn(self) -> Process:
        _bound_log(self._log_path)
        # Standard input from a nameless file: a pipe would need somebody to write it.
        with self._log_path.open("ab") as output, tempfile.TemporaryFile() as given:
            given.write(self._program.stdin)
            given.seek(0)
            return await asyncio.create_subprocess_exec(
                *self._program.command,
                stdin=given,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._program.environment},
                pass_fds=self._program.keep_fds,
                # Ctrl-C reaches the supervisor alone, which then stops everything in order
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


class Supervisor:
    """Starts programs, each logging to `<logs_dir>/<name>.log`, and stops them group by group.

    A log longer than 16 MiB is put aside as `.log.1`; logs are looked at every `log_look_s`
    seconds.
    """

    def __init__(self, logs_dir: Path, log_look_s: float = 60.0) -> None:
        self._logs_dir = logs_dir
        self._log_look_s = log_look_s
        self.programs: dict[str, SupervisedProgram] = {}

    def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        log_path = self._logs_dir / f"{program.name}.log"
        self.programs[program.name] = SupervisedProgram(program, log_path, self._log_look_s)

    async def stop(self, names: set[str], timeout_s: float) -> None:
        """Stop these programs together, within `timeout_s`."""
        chosen = [self.programs.pop(name) for name in names if name in self.programs]
        await asyncio.gather(*(program.stop(timeout_s) for program in chosen))


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec, so that it stops when the supervisor is killed.

    Linux only.
    """
    if sys.platform != "linux":
        return None

    libc = ctypes.CDLL(None)  # loaded here: the child may not allocate between fork and exec
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _bound_log(path: Path) -> None:
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(
            path, 0
        )  # not renamed: a running program goes on appending to the file it has open
