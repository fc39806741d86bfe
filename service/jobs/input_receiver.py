"""The input of a job that its request holds in base64, or points to by URL."""

from __future__ import annotations

from service import schemas
from service.intake.incoming import Declared, Incoming
from service.intake.uploads import inline
from service.intake.url_inputs import UrlInputs
from service.settings import Settings


class InputReceiver:
    """Receives inputs that are not in the request as a file."""

    def __init__(self, settings: Settings, urls: UrlInputs) -> None:
        self._max_upload_bytes = settings.max_upload_bytes
        self._max_inline_bytes = settings.max_inline_bytes
        self._urls = urls

    async def receive(self, source: schemas.SwapInput, incoming: Incoming) -> None:
        """Receive the input into `incoming`; nothing is to be done for an upload.

        Raises quota_exceeded, fetch_refused, fetch_failed, and what receiving a file raises.
        """
        if source.url is not None:
            await self._urls.receive(source.url, incoming, self._max_upload_bytes)
        elif source.base64 is not None:
            chunks = inline(source.base64, self._max_inline_bytes)
            # Nothing is declared: the type is what the bytes say.
            await incoming.receive(chunks, Declared(), self._max_inline_bytes)
