"""A job's event stream, read; the same for both clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from httpx_sse import ServerSentEvent

from likeness_client.models import Job, Progress, job_of, known

OnProgress = Callable[[Progress], None]


@dataclass
class Follower:
    """Takes a job's events; `last_id` is where a stream that was cut off goes on."""

    on_progress: OnProgress | None
    last_id: str = ""
    job: Job | None = field(default=None, init=False)

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the next request."""
        return {"Last-Event-ID": self.last_id} if self.last_id else {}

    def take(self, event: ServerSentEvent) -> bool:
        """Take an event; return whether it was the last one, after which `job` is set."""
        self.last_id = event.id or self.last_id
        if event.event == "completed":
            self.job = job_of(json.loads(event.data))
            return True

        if event.event == "progress" and self.on_progress is not None:
            self.on_progress(known(Progress, json.loads(event.data)))

        return False
