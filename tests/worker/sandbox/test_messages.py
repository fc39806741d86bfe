"""Messages between a child and its parent, also those that only a compromised child would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from worker.sandbox.messages import Channel, Message, parse_line


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def test_a_message_arrives_as_it_was_sent(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    Channel(theirs).send(Message({"ask": "x"}, (b"one\n", b"", b"\0two")))
    assert channel.receive(1.0) == Message({"ask": "x"}, (b"one\n", b"", b"\0two"))


def test_a_closed_end_is_no_message(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    theirs.sendall(b'{"blobs": [100]}\nhalf')
    theirs.close()
    assert channel.receive(1.0) is None
    assert channel.receive(1.0) is None


def test_a_message_that_does_not_come_is_late(ends: tuple[Channel, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].receive(0.05)


@pytest.mark.parametrize(
    "line",
    [
        b"[1]\n",
        b"{}\n",
        b'{"blobs": 3}\n',
        b'{"blobs": ["3"]}\n',
        b'{"blobs": [true]}\n',
        b'{"blobs": [-1]}\n',
        b'{"blobs": [999999999999]}\n',
        b"nonsense\n",
        b'{"blobs": []}',
    ],
)
def test_a_line_that_is_not_ours_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own error is one
        parse_line(line)
