"""The child's side: one JSON line with open files in, one message with blobs out."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from worker.process.logs import log_as_json
from worker.sandbox.confinement import Device, confine
from worker.sandbox.limits import NICENESS, Limits, allow_cpu, die_with
from worker.sandbox.messages import Message as Reply

__all__ = ["Handle", "Reply", "child_limits", "serve"]

# A request has a few fields; longer ones are no requests of ours.
MAX_LINE_BYTES = 65_536
# Eight photos at most; more descriptors than that would be a mistake.
MAX_FILES = 16

Handle = Callable[[Mapping[str, Any], Sequence[BinaryIO]], Reply]
Load = Callable[[], tuple[Handle, Mapping[str, Any]]]


def serve(
    load: Load,
    limits: Limits,
    readable: Sequence[Path] = (),
    device: Device = "cpu",
    niceness: int = NICENESS,
) -> None:
    """Confine this process, `load` what answers requests, and answer until the parent closes.

    `load` runs confined: it may read the code and what is `readable`. It returns the handler of
    requests and what to say in the hello, to which the protection that holds is added.
    """
    log_as_json()
    # A child whose parent was killed must not stay behind with models in memory.
    die_with(os.getppid())
    # First of all: the libraries that decode are loaded when nothing can be reached any more.
    protection = confine(limits, readable=readable, device=device, niceness=niceness)
    handle, hello = load()

    with socket.socket(fileno=int(sys.argv[1])) as line:
        # The parent's end is asynchronous, and the flag comes with the socket.
        line.setblocking(True)
        line.sendall(Reply({**hello, "protection": protection.model_dump()}).encode())

        while request := _receive(line):
            # The limit counts from the process's start, so each request moves it on.
            allow_cpu(limits.cpu_s)
            body, descriptors = request

            with ExitStack() as stack:
                # Closed after each request: descriptors would run out, and files stay readable.
                files = [stack.enter_context(os.fdopen(fd, "rb")) for fd in descriptors]
                reply = _answer(handle, body, files)

            line.sendall(reply.encode())


def child_limits(memory_bytes: int | None, cpu_s: int) -> Limits:
    """Return the limits of a child that writes no files; `cpu_s` is what one request may use.

    Without `memory_bytes` only the container's own limit bounds its memory.
    """
    return Limits(memory_bytes=memory_bytes, file_bytes=0, open_files=64, cpu_s=cpu_s)


def _answer(handle: Handle, body: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
    try:
        return handle(body, files)
    # The one limit that a child can report; all others kill it.
    except MemoryError:
        return Reply({"code": "media_too_large", "detail": "The file needs too much memory"})


def _receive(line: socket.socket) -> tuple[Mapping[str, Any], list[int]] | None:
    data, descriptors, _, _ = socket.recv_fds(line, MAX_LINE_BYTES, MAX_FILES)
    while data and not data.endswith(b"\n"):
        more = line.recv(MAX_LINE_BYTES)
        data = data + more if more else b""
    # An empty read is the parent's end of the conversation.
    return (json.loads(data), list(descriptors)) if data else None
