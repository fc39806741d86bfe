"""Receives webhooks on this machine and keeps each message, headers and all, as a file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.web_server import QuietHandler, web_server


@contextmanager
def receiving(folder: Path) -> Iterator[str]:
    """Yield the URL of a receiver that writes `*.json` with `body` and `headers` to `folder`."""

    class Handler(QuietHandler):
        def post(self) -> None:
            body = self.body().decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            # Renamed when whole, so that no reader finds half a message.
            unfinished = folder / f"{uuid.uuid4()}.part"
            unfinished.write_text(json.dumps({"body": body, "headers": headers}))
            unfinished.rename(unfinished.with_suffix(".json"))
            # Only now: a message that is acknowledged has been kept.
            self.answer(204)

    with web_server(Handler) as url:
        yield f"{url}/hook"
