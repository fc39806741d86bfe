"""Messages between a confined child and its parent: a JSON object in one line, then the bytes that
JSON cannot carry.

The parent takes nothing on trust: whatever is not a message of ours, or is too long, is an error.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

MAX_LINE_BYTES = 16 << 20  # a long video's plan, with the faces that were seen in it, has a few MiB
MAX_BLOBS_BYTES = 64 << 20  # of one message; an identity's code and weights have about 1 MiB


@dataclass(frozen=True)
class Message:
    """A JSON object, and bytes that JSON cannot carry."""

    header: Mapping[str, Any]
    blobs: Sequence[bytes] = ()

    def encode(self) -> bytes:
        """Return the line and the blobs as they go over the socket."""
        line = json.dumps({**self.header, "blobs": [len(blob) for blob in self.blobs]})
        return b"".join((line.encode(), b"\n", *self.blobs))


def parse_line(
    line: bytes, max_blobs_bytes: int = MAX_BLOBS_BYTES
) -> tuple[dict[str, Any], list[int]]:
    """Return a message's header and the sizes of the blobs that follow it.

    Raises ValueError for a line that only a compromised child would send.
    """
    body = json.loads(line) if line.endswith(b"\n") else None
    sizes = body.pop("blobs", None) if isinstance(body, dict) else None

    if not isinstance(body, dict) or not isinstance(sizes, list):
        raise ValueError("the message is not one of ours")
    # `bool` is an `int` to isinstance, and True would read as one byte.
    if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) > max_blobs_bytes:
        raise ValueError("the message is too large")

    return body, sizes


class Channel:
    """One end of a socket pair. Any thread may send; one thread receives."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._reader = line.makefile("rb")
        self._sending = Lock()

    def send(self, message: Message) -> None:
        """Send a message; raises OSError when the other side is gone."""
        data = message.encode()
        with self._sending:
            self._socket.sendall(data)

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """Wait for the next message; None when the other side has closed.

        Raises:
            TimeoutError: nothing came in time; the channel is of no further use.
            ValueError: what came is not a message of ours.
            OSError: the connection broke.
        """
        self._socket.settimeout(timeout_s)
        line = self._reader.readline(MAX_LINE_BYTES)

        if not line:
            return None

        header, sizes = parse_line(line)
        blobs = tuple(self._reader.read(size) for size in sizes)

        # The other side died in the middle of a message.
        if [len(blob) for blob in blobs] != sizes:
            return None

        return Message(header, blobs)

    def end(self) -> None:
        """Say that nothing more will be sent.

        Closing would reset the connection while messages lie unread.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close this end."""
        self._reader.close()
        self._socket.close()
