"""The child's end of the line to its parent: questions, and the errors they are answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from queue import SimpleQueue

from worker.contract.options import Strict
from worker.errors import (
    Canceled,
    DiskFull,
    IdentityErased,
    MediaUnavailable,
    StoreFull,
    StoreUnavailable,
    Superseded,
    UnknownIdentity,
    UnknownMedia,
    WorkerError,
)
from worker.sandbox.messages import Channel, Message

# What a parent may answer with: others would be a message that we do not understand.
ERRORS: Mapping[str, type[WorkerError]] = {
    error.__name__: error
    for error in (
        Canceled,
        DiskFull,
        IdentityErased,
        MediaUnavailable,
        StoreFull,
        StoreUnavailable,
        Superseded,
        UnknownIdentity,
        UnknownMedia,
    )
}


class Parent:
    """Asks the parent; its answers arrive through a queue that the listening thread fills.

    None in the queue says that the parent has gone, and this process goes with it.
    """

    def __init__(self, channel: Channel, answers: SimpleQueue[Message | None]) -> None:
        self._channel = channel
        self._answers = answers

    def say(self, message: Strict, blobs: Sequence[bytes] = ()) -> None:
        """Send a message that gets no answer."""
        self._channel.send(Message(message.model_dump(mode="json"), blobs))

    def ask(self, request: Strict, blobs: Sequence[bytes] = ()) -> Message:
        """Return the answer; raises the error that the parent answers with."""
        self.say(request, blobs)
        answer = self._answers.get()

        # The parent is gone: there is nobody left to work for.
        if answer is None:
            raise SystemExit
        if error := answer.header.get("error"):
            # An unknown name still ends the attempt, without a claim about why.
            raise ERRORS.get(error, WorkerError)

        return answer
