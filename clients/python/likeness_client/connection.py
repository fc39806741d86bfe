"""The connection of the synchronous client: one service, one key, retries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

import httpx

from likeness_client.calls import Call
from likeness_client.errors import LikenessError
from likeness_client.retries import Retries, address

Answer = TypeVar("Answer")

CHUNK_BYTES = 1 << 20


class Connection:
    """Speaks to one service with one API key; URL and key may come from the environment."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = 90.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url, token = address(url, key)
        self.retries = retries
        self.http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def send(self, call: Call[Answer]) -> Answer:
        """Send a request, again where that may help, and return its answer.

        Raises LikenessError and ConnectionFailed.
        """
        attempt = 1
        while True:
            answer: httpx.Response | None = None
            reason = ""
            try:
                answer = self._once(call)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__

            if answer is not None and answer.is_success:
                return call.parse(answer)

            pause_s = self.retries.pause_or_raise(attempt, answer, self.url, reason)
            time.sleep(pause_s)
            attempt += 1

    def _once(self, call: Call[Answer]) -> httpx.Response:
        content = call.content if call.body is None else _chunks(call.body)
        return self.http.request(call.method, call.path, content=content, **call.arguments())


def checked(answer: httpx.Response) -> httpx.Response:
    """Return an answer that is a success; raises LikenessError."""
    if answer.is_success:
        return answer
    raise LikenessError.of(answer)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
