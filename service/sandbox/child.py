"""The parent's side: a warm child process, asked one thing at a time, killed when it is late and
started anew.

ChildError                   the child gave no answer to this request
├── ChildLateError           it took longer than the wall-clock limit and was killed
└── ChildLostError           it died: a crash, a resource limit, or it could not start
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from service.sandbox.serving import MAX_LINE_BYTES, Reply
from service.settings import Settings
from worker.sandbox.confinement import Protection
from worker.sandbox.messages import parse_line

log = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[2]
MAX_BLOBS_BYTES = 16 << 20  # of one answer; a code and its weights have about 1 MiB


class ChildError(Exception):
    """The child gave no answer to this request; the next request finds a fresh child."""


class ChildLateError(ChildError):
    """The child took longer than it may."""


class ChildLostError(ChildError):
    """The child died over the request."""


class ChildStartError(ChildError):
    """The child does not start."""


class SandboxedChild:
    """One warm child process running `python -m module`, with no `environment` but the one given
    and one socket to talk over.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        start_timeout_s: float,
        on_restart: Callable[[], None],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._environment = dict(environment)
        self._command = (sys.executable, "-m", module)
        self._arguments = tuple(arguments)
        self._start_timeout_s = start_timeout_s
        self._on_restart = on_restart
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._starts = 0
        self.hello: Mapping[str, Any] = {}

    @property
    def ready(self) -> bool:
        """Whether the child is up and has said hello."""
        return self._process is not None and self._process.returncode is None and bool(self.hello)

    @property
    def protection(self) -> Protection | None:
        """What the kernel enforces on the child; None until it has said hello."""
        said = self.hello.get("protection")
        return None if said is None else Protection.model_validate(said)

    async def start(self) -> None:
        """Start the child if it is not up; raises ChildStartError."""
        async with self._turn:
            await self._ensure()

    async def stop(self) -> None:
        """Kill the child; it holds nothing that is worth waiting for."""
        async with self._turn:
            await self._kill()

    async def ask(
        self, request: Mapping[str, Any], files: Sequence[BinaryIO], timeout_s: float
    ) -> Reply:
        """Return the child's answer to `request`, to which open `files` are handed over.

        Raises ChildError.
        """
        async with self._turn:
            await self._ensure()
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(request, files)
            except TimeoutError as error:
                await self._kill()
                raise ChildLateError from error
            except (OSError, EOFError, ValueError) as error:
                await self._kill()
                raise ChildLostError from error
            except asyncio.CancelledError:
                await self._kill()  # its answer would be taken for that of the next request
                raise

    async def _exchange(self, request: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
        line = json.dumps(request).encode() + b"\n"
        if self._socket is None or len(line) > MAX_LINE_BYTES:
            raise ValueError("the request is too long")
        # Open files, not paths: the child can open nothing by itself.
        socket.send_fds(self._socket, [line], [file.fileno() for file in files])
        return await self._read()

    async def _read(self) -> Reply:
        if self._reader is None:
            raise EOFError
        header, sizes = parse_line(await self._reader.readline(), MAX_BLOBS_BYTES)
        return Reply(header, [await self._reader.readexactly(size) for size in sizes])

    async def _ensure(self) -> None:
        if self.ready:
            return

        await self._kill()
        if self._starts:
            self._on_restart()

        # The first start is no restart, and is not counted as one.
        self._starts += 1
        ours, theirs = socket.socketpair()

        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Nothing of ours: no keys, no addresses of the store.
                env=self._environment,
                # The code's place, from which `-m` imports; the confinement lets it be read and
                # nothing be written.
                cwd=_ROOT,
                # A group of its own, so that a kill takes whatever the child has started too.
                start_new_session=True,
            )
        # The child has its own copy; ours would keep the socket open after its death.
        finally:
            theirs.close()

        self._socket = ours
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        await self._greet()

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(self._start_timeout_s):
                self.hello = (await self._read()).header
        except (TimeoutError, EOFError, OSError, ValueError) as error:
            await self._kill()
            raise ChildStartError from error

    async def _kill(self) -> None:
        self.hello = {}
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                # SIGKILL: a child in a decoder's endless loop hears nothing else.
                os.killpg(self._process.pid, signal.SIGKILL)

            # Reaped, or it would stay as a zombie; -9 in the log means that a limit or we killed
            # it.
            code = await self._process.wait()
            log.info("child ended", extra={"child": self._command[-1], "exit_code": code})

        self._process = self._socket = self._reader = self._writer = None


def prober(settings: Settings, on_restart: Callable[[], None] = lambda: None) -> SandboxedChild:
    """Return the child that measures media files, within the limits that the workers have, too."""
    return SandboxedChild(
        "service.sandbox.probe_child",
        [str(settings.probe_memory_bytes), settings.media_limits.model_dump_json()],
        settings.enrolment_start_timeout_s,
        on_restart,
    )
