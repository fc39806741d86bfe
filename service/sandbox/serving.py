"""The child's side of the protocol: one JSON line with open files in, one JSON line with blobs
out.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from service.sandbox.reach import restrict_reach
from worker.process.confinement import Limits, allow_cpu, confine, die_with

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 65_536
MAX_FILES = 16
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Reply:
    """An answer: a JSON object, and bytes that JSON cannot carry."""

    header: Mapping[str, Any]
    blobs: Sequence[bytes] = ()


Handle = Callable[[Mapping[str, Any], Sequence[BinaryIO]], Reply]


def serve(
    handle: Handle, hello: Mapping[str, Any], limits: Limits, extra: Iterable[Path] = ()
) -> None:
    """Confine this process, say `hello`, and answer requests on the inherited socket until the
    parent closes it.
    """
    die_with(os.getppid())
    confine(limits)
    restrict_reach([*_code_directories(), *extra])
    with socket.socket(fileno=int(sys.argv[1])) as line:
        line.setblocking(True)
        _send(line, Reply(hello))
        while request := _receive(line):
            allow_cpu(limits.cpu_s)
            body, descriptors = request
            with ExitStack() as stack:
                files = [stack.enter_context(os.fdopen(fd, "rb")) for fd in descriptors]
                reply = _answer(handle, body, files)
            _send(line, reply)


def child_limits(memory_bytes: int | None, cpu_s: int) -> Limits:
    """Return the limits of a child that writes no files; `cpu_s` is what one request may use.

    Without `memory_bytes` only the container's own limit bounds its memory.
    """
    return Limits(memory_bytes=memory_bytes, file_bytes=0, open_files=64, cpu_s=cpu_s)


def _answer(handle: Handle, body: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
    try:
        return handle(body, files)
    except MemoryError:
        return Reply({"code": "too_large", "detail": "The file needs more memory than it may"})


def _receive(line: socket.socket) -> tuple[Mapping[str, Any], list[int]] | None:
    data, descriptors, _, _ = socket.recv_fds(line, MAX_LINE_BYTES, MAX_FILES)
    while data and not data.endswith(b"\n"):
        more = line.recv(MAX_LINE_BYTES)
        data = data + more if more else b""
    return (json.loads(data), list(descriptors)) if data else None


def _send(line: socket.socket, reply: Reply) -> None:
    sizes = [len(blob) for blob in reply.blobs]
    line.sendall(json.dumps({**reply.header, "blobs": sizes}).encode() + b"\n")
    for blob in reply.blobs:
        line.sendall(blob)


def _code_directories() -> list[Path]:
    """Where this program's code lies: modules may still be loaded lazily.

    Data directories are not among these.
    """
    places = [_ROOT / name for name in ("service", "worker", "models")]
    places += [
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path("/usr"),
        Path("/lib"),
        Path("/lib64"),
        Path("/dev/urandom"),
    ]
    return [place for place in places if place.exists()]
