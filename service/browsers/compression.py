"""gzip for answers that are JSON, pages or scripts; requests' bodies are `protocol.bodies`' matter.

Media are compressed already, streams of events must not wait for a block to fill, and results keep
their ranges and digests: none of them is touched. Nobody's secret is guessed from a length here as
in BREACH: keys are sent in a header, which no page of another origin can make a browser send.
"""

from __future__ import annotations

import gzip
import re
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Below it, headers weigh more than what is saved.
LEAST_BYTES: Final = 1024
# A page of jobs is packed in some milliseconds; more would hold up other requests meanwhile.
_IN_THREAD_BYTES: Final = 64 * 1024
_LEVEL: Final = 5  # JSON shrinks to a tenth; higher levels gain a few per cent for twice the time
_TYPES: Final = re.compile(
    r"(application/(problem\+)?json|text/(html|css|plain|javascript)|application/javascript"
    r"|image/svg\+xml)\b"
)
_KEPT_AS_THEY_ARE: Final = ("content-encoding", "accept-ranges", "repr-digest", "content-digest")


class CompressAnswers:
    """ASGI middleware that packs what is text, whole and large enough, for clients that ask."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _takes_gzip(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return

        held: Message | None = None

        async def send_packed(message: Message) -> None:
            nonlocal held
            # The body decides about the headers, so these wait for it; those of a stream of events
            # or of a file must not, since their first bytes may be long in coming.
            if message["type"] == "http.response.start" and _is_packable(message):
                held = message
                return
            if held is not None:
                start = held
                held = None
                message = await _packed(start, message)
                await send(start)

            await send(message)

        await self.app(scope, receive, send_packed)


def _takes_gzip(headers: Headers) -> bool:
    for one in headers.get("accept-encoding", "").lower().split(","):
        name, _, parameter = one.strip().partition(";")
        if name.strip() in ("gzip", "x-gzip", "*"):
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")

    return False


def _is_packable(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    is_text = _TYPES.match(headers.get("content-type", "")) is not None
    return is_text and not any(name in headers for name in _KEPT_AS_THEY_ARE)


async def _packed(start: Message, message: Message) -> Message:
    """Return the body message, packed where that is worth it, and correct `start` for it."""
    headers = MutableHeaders(scope=start)
    # Caches must not hand a packed body to a client that cannot read it.
    headers.add_vary_header("Accept-Encoding")
    body = message.get("body", b"")
    if message.get("more_body", False) or len(body) < LEAST_BYTES:
        return message

    if len(body) < _IN_THREAD_BYTES:
        packed = gzip.compress(body, _LEVEL, mtime=0)
    else:
        packed = await to_thread.run_sync(lambda: gzip.compress(body, _LEVEL, mtime=0))

    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(packed))
    return {**message, "body": packed}
