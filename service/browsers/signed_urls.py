"""URLs of results that need no key: one object, for minutes, signed by HMAC-SHA256.

They are for what cannot send a header: `<img>`, `<video>`, a link in a message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

# A URL is valid for ten to fifteen minutes. Its end is a multiple of five, so that a job that is
# read twice within that time looks the same twice.
LEAST_S = 600
STEP_S = 300


class UrlSigner:
    """Signs paths of results, and checks such signatures."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def query(self, job_id: str) -> str:
        """Return the query that opens a job's result: `expires=...&signature=...`."""
        expires = (int(self._clock()) + LEAST_S + STEP_S - 1) // STEP_S * STEP_S
        return f"expires={expires}&signature={self._signature(job_id, expires)}"

    def is_signed(self, job_id: str, expires: int, signature: str) -> bool:
        """Return whether this service has signed the query, also if its time is over."""
        expected = self._signature(job_id, expires)
        return hmac.compare_digest(expected.encode(), signature.encode())

    def has_ended(self, expires: int) -> bool:
        """Return whether a signed query's time is over."""
        return expires <= self._clock()

    def _signature(self, job_id: str, expires: int) -> str:
        signed = f"result:{job_id}:{expires}".encode()
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
