"""A server that hears webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.web_server import QuietHandler, web_server


@dataclass
class Receiver:
    """Somebody's server: remembers what it was sent and answers with the statuses it was given,
    then 204.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(QuietHandler):
        def post(self) -> None:
            state.received.append(
                ({name.lower(): value for name, value in self.headers.items()}, self.body())
            )
            self.send_response(state.statuses.pop(0) if state.statuses else 204)
            self.send_header("Location", state.url + "/elsewhere")
            self.end_headers()

    with web_server(Handler) as url:
        state.url = f"{url}/hook"
        yield state
