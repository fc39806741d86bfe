"""The child of a warm worker: confined, models loaded once, one attempt after another.

Started by `child_process.WarmChild` with its socket as standard input. It knows no store: all it
can do is perform what its parent hands over and ask it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import socket
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from worker.job_context import UseCases
from worker.process.child_attempt import perform
from worker.process.child_context import JOB_ORDER
from worker.process.logs import log_as_json
from worker.process.memory import fitting
from worker.process.parent import Parent
from worker.process.requests import ChildOrder, Hello
from worker.sandbox.confinement import Protection, confine, memory_bound, rules_for
from worker.sandbox.limits import Limits, allow_cpu, die_with
from worker.sandbox.messages import Channel, Message


class Inbox(Thread):
    """Sorts what the parent sends into jobs and answers, and forgets at once what was erased.

    A thread of its own, because a job may run for an hour and an erasure must not wait for it.
    None in a queue says that the parent has closed.
    """

    def __init__(self, channel: Channel, use_cases: UseCases) -> None:
        super().__init__(name="inbox", daemon=True)
        self.jobs = SimpleQueue[Message | None]()
        self.answers = SimpleQueue[Message | None]()
        self._channel = channel
        self._use_cases = use_cases

    def run(self) -> None:
        """Sort until the parent closes."""
        try:
            while message := self._channel.receive():
                if "forget" in message.header:
                    # Here and now, in this thread: the job in progress may take an hour.
                    self._use_cases.forget(message.header["forget"])
                elif "job" in message.header:
                    self.jobs.put(message)
                else:
                    self.answers.put(message)
        finally:
            self.jobs.put(None)
            self.answers.put(None)


def main() -> None:
    """Serve the parent until it closes the channel."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop

    # Standard input is the socket; a copy, so that what reads stdin by mistake gets an end of file.
    channel = Channel(socket.socket(fileno=os.dup(0)))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    first = channel.receive()

    # The parent went away before it gave an order.
    if first is None:
        return

    order = ChildOrder.model_validate(first.header)
    # Before anything is loaded: a parent that is killed must not leave a child with models behind.
    die_with(order.parent_pid)
    log_as_json()
    # Before the use cases are imported: their libraries start threads, which would stay unconfined.
    protection = _confine(order)
    module = importlib.import_module(order.settings.use_cases)
    use_cases: UseCases = module.load(order.queue, order.settings)
    inbox = Inbox(channel, use_cases)
    inbox.start()
    parent = Parent(channel, inbox.answers)
    parent.say(Hello(pack=use_cases.pack, protection=protection))

    while (message := inbox.jobs.get()) is not None:
        allow_cpu(order.cpu_s)
        perform(JOB_ORDER.validate_python(message.header["job"]), order, parent, use_cases)


def _confine(order: ChildOrder) -> Protection:
    settings = order.settings
    rules = rules_for(settings.device)
    return confine(
        Limits(
            memory_bytes=memory_bound(fitting(settings.child_memory_bytes), rules),
            # A decoder that writes without end meets this before the disk is full.
            file_bytes=settings.child_file_bytes,
        ),
        readable=[
            settings.packs_root,
            # A pack's name may be a path, and a link.
            (settings.packs_root / settings.pack).resolve(),
            *_package_of(settings.use_cases),
            order.inward,
        ],
        writable=[order.outward],
        device=rules,
    )


def _package_of(module: str) -> list[Path]:
    """Return the directories of the package that the use cases come from: a test's, perhaps."""
    found = importlib.util.find_spec(module.partition(".")[0])
    return [Path(place) for place in (found and found.submodule_search_locations) or ()]


if __name__ == "__main__":
    main()
