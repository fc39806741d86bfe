"""When a request is tried again, and after how long; the same for both clients."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import httpx

from likeness_client.errors import ConnectionFailed, LikenessError

# 429: this tenant has too much in flight; 503: the service is full, draining or has lost its store.
AGAIN = frozenset({429, 502, 503, 504})
LONGEST_WAIT_S = 30.0
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Retries:
    """At most `tries` of a request, with growing pauses between them."""

    tries: int = 4
    first_pause_s: float = 0.5

    def pause_s(self, attempt: int, answer: httpx.Response | None) -> float | None:
        """Return how long to wait before the next try; None when the last answer stands.

        `attempt` counts from 1. The service's own Retry-After goes first.
        """
        if attempt >= self.tries or (answer is not None and answer.status_code not in AGAIN):
            return None

        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        if asked.isdigit():
            return min(LONGEST_WAIT_S, float(asked))

        # Clients that were cut off together must not come back together.
        pause_s = min(LONGEST_WAIT_S, self.first_pause_s * 2.0 ** (attempt - 1))
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def pause_or_raise(
        self, attempt: int, answer: httpx.Response | None, url: str, reason: str
    ) -> float:
        """Return how long to wait before the next try.

        Raises LikenessError for an answer that stands, ConnectionFailed with `reason` where the
        last try had none.
        """
        pause_s = self.pause_s(attempt, answer)
        if pause_s is not None:
            return pause_s
        if answer is None:
            raise ConnectionFailed(url, reason)
        raise LikenessError.of(answer)


def address(url: str | None, key: str | None) -> tuple[str, str]:
    """Return URL and key, from the environment where they are not given.

    Raises LikenessError when there is no key.
    """
    found = key or os.environ.get("LIKENESS_API_KEY", "")
    if not found:
        raise LikenessError(
            401, "unauthorized", "there is no API key: give one, or set LIKENESS_API_KEY"
        )

    return (url or os.environ.get("LIKENESS_URL") or DEFAULT_URL).rstrip("/"), found
