"""The connection of the asynchronous client: one service, one key, retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self, TypeVar

import httpx

from likeness_client.calls import Call
from likeness_client.connection import CHUNK_BYTES
from likeness_client.retries import Retries, address

Answer = TypeVar("Answer")


class AsyncConnection:
    """Speaks to one service with one API key; URL and key may come from the environment."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = 90.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url, token = address(url, key)
        self.retries = retries
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def send(self, call: Call[Answer]) -> Answer:
        """Send a request, again where that may help, and return its answer.

        Raises LikenessError and ConnectionFailed.
        """
        attempt = 1
        while True:
            answer: httpx.Response | None = None
            reason = ""
            try:
                answer = await self._once(call)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__

            if answer is not None and answer.is_success:
                return call.parse(answer)

            pause_s = self.retries.pause_or_raise(attempt, answer, self.url, reason)
            await asyncio.sleep(pause_s)
            attempt += 1

    async def _once(self, call: Call[Answer]) -> httpx.Response:
        content = call.content if call.body is None else _chunks(call.body)
        return await self.http.request(call.method, call.path, content=content, **call.arguments())


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, CHUNK_BYTES):
            yield chunk
