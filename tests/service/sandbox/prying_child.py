"""A sandboxed child that tries what a taken-over decoder would; used by test_sandbox.py."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from service.sandbox.serving import Reply, child_limits, serve


def pry(request: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
    (deed, value), *_ = request.items()
    try:
        return Reply({deed: DEEDS[deed](value)})
    except OSError as error:
        return Reply({"error": type(error).__name__})


def read(path: str) -> bool:
    return len(Path(path).read_bytes()) > 0


def write(path: str) -> bool:
    Path(path).write_text("x")
    return True


def connect(address: str) -> bool:
    host, port = address.split(":")
    socket.create_connection((host, int(port)), timeout=2).close()
    return True


def spin(seconds: str) -> None:
    ends = time.monotonic() + float(seconds)
    while time.monotonic() < ends:
        pass


DEEDS = {
    "read": read,
    "write": write,
    "connect": connect,
    "environment": lambda _: sorted(os.environ),
    "allocate": lambda size: len(bytearray(int(size))),
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "spin": spin,
    "say": lambda line: os.write(int(sys.argv[1]), line.encode() + b"\n"),
    "crash": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
}

if __name__ == "__main__":
    serve(lambda: (pry, {"child": "prying"}), child_limits(1 << 30, cpu_s=2))
