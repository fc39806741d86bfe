"""Asks an RFC 3161 time-stamp authority; in a process that decodes nothing and has a network."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from dataclasses import dataclass

import httpx
from asn1crypto import algos, tsp

log = logging.getLogger(__name__)

# At worst a job waits some 16 s for an authority that is away.
TRIES = 3
TIMEOUT_S = 5.0
_PAUSE_S = 0.5
MAX_TOKEN_BYTES = 10_000  # what the padding of a signature holds; public authorities send 3 to 7 KB
_QUERY = {"Content-Type": "application/timestamp-query"}


@dataclass(frozen=True)
class TimeStampAuthority:
    """One authority, by its URL."""

    url: str

    def token(self, message: bytes) -> bytes | None:
        """Return a time-stamp token (DER) of a message, None when three tries gave none.

        A result must not be lost because an authority is away: its report says that the
        time-stamp is missing.
        """
        for attempt in range(TRIES):
            if attempt:
                time.sleep(_PAUSE_S)
            try:
                return self._ask(message)
            except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
                log.warning("no time-stamp", extra={"attempt": attempt + 1, "error": str(error)})

        return None

    def _ask(self, message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        nonce = secrets.randbits(64)
        imprint = tsp.MessageImprint(
            {
                "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                "hashed_message": digest,
            }
        )
        query = tsp.TimeStampReq(
            {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
        )

        answer = httpx.post(
            self.url, content=query.dump(), headers=_QUERY, timeout=TIMEOUT_S, trust_env=True
        ).raise_for_status()
        return _token(answer.content, digest, nonce)


def _token(answer: bytes, digest: bytes, nonce: int) -> bytes:
    """Return the token of an answer that is to this question; raises ValueError."""
    # The status and what surrounds the token are small beside it.
    response = tsp.TimeStampResp.load(answer[: 2 * MAX_TOKEN_BYTES])
    status = response["status"]["status"].native
    if status not in ("granted", "granted_with_mods"):
        raise ValueError(f"the authority answered {status}")

    token = response["time_stamp_token"]
    # The nonce tells this answer from one that was recorded earlier.
    info = token["content"]["encap_content_info"]["content"].parsed
    if info["message_imprint"]["hashed_message"].native != digest or info["nonce"].native != nonce:
        raise ValueError("the authority stamped something else")

    encoded = bytes(token.dump())
    if len(encoded) > MAX_TOKEN_BYTES:
        raise ValueError("the token is too long")

    return encoded
