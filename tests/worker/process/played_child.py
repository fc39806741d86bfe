"""A child that a test plays, at the parent of a job that has begun."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

from worker.composition import Stores
from worker.contract.jobs import Task
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.job_context import Performed
from worker.process.attempts.attempt import Attempt
from worker.process.attempts.attempt_server import AttemptServer
from worker.process.staging import Staging
from worker.sandbox.messages import Channel, Message
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.media.uploads import MediaFacts

PACK = "open@0123456789ab"
ENDED: dict[str, object] = {"ask": "ended", "outcome": None, "spent": {}}
Child = Callable[[Channel], None]


class Desk:
    """A job that has begun, and a channel on which a test plays the child."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.staging = Staging(stores.media.scratch)
        self.identity, self.foreign = self._identity("acme"), self._identity("rival")
        writer = stores.media.begin_write("acme")
        writer.write(b"input")
        upload = writer.commit(MediaFacts("image/png", ".png"), 600)
        payload = JobPayload(
            kind="swap_image",
            tenant="acme",
            input_id=upload.id,
            assignments=(Assignment(identity_id=self.identity),),
        )

        job = stores.jobs.admit(JobRequest(payload)).job
        self.task = Task(job.id, 1)
        begun = stores.attempts.begin(self.task, "test")
        self.attempt = Attempt(begun, self.task, self.staging, stores)

    def _identity(self, tenant: str) -> str:
        record = IdentityRecord(new_id("idn"), tenant, PACK, 0.0)
        self.stores.identities.put(record, b"code of " + tenant.encode(), b"weights")
        return record.id

    def serve(self, child: Child, timeout_s: float = 10.0) -> Performed:
        parents, childs = (Channel(end) for end in socket.socketpair())
        thread = Thread(target=child, args=(childs,))
        thread.start()

        try:
            return AttemptServer(self.attempt, parents, PACK, timeout_s).run()
        finally:
            parents.end()
            thread.join()
            parents.close()
            childs.close()


def says(*messages: Mapping[str, Any], blobs: tuple[bytes, ...] = ()) -> Child:
    """Return a child that says these things, whatever it is answered; the last one comes with
    blobs.
    """

    def child(channel: Channel) -> None:
        channel.receive()
        for number, message in enumerate(messages, 1):
            channel.send(Message(message, blobs if number == len(messages) else ()))
            channel.receive()

    return child


def answers_to(desk: Desk, *messages: Mapping[str, Any]) -> list[Message | None]:
    """Return what a child is answered to these messages."""
    answers: list[Message | None] = []

    def child(channel: Channel) -> None:
        channel.receive()
        for message in messages:
            channel.send(Message(message))
            answers.append(channel.receive())

        channel.send(Message(ENDED))

    desk.serve(child)
    return answers
