"""Idempotency-Key for creations that are not jobs.

A job's key is decided in the same atomic step as its admission.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from redis import Redis

from service.protocol.problems import ServiceError
from worker.stores.connection import reaching
from worker.stores.job_store import idempotency_name

KEPT_S = 24 * 3600
RUNNING_S = 15 * 60  # a reservation of a request that died with its process frees itself


@dataclass(frozen=True)
class StoredAnswer:
    """The answer that a key's first request got."""

    status: int
    body: str
    location: str

    def response(self) -> Response:
        """Return the answer again, marked as a replay."""
        headers = {"Idempotency-Replayed": "true"} | (
            {"Location": self.location} if self.location else {}
        )
        return Response(self.body, self.status, headers, media_type="application/json")


def key_of(request: Request) -> str | None:
    """Return the request's Idempotency-Key.

    Raises invalid_parameter when it is empty, too long or unprintable.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= 255 and key.isprintable()):
        raise ServiceError(
            "invalid_parameter", "Idempotency-Key must have 1 to 255 printable characters"
        )
    return key


def fingerprint(request: Request, *facts: str) -> str:
    """Return the SHA-256 of what makes two requests the same: method, path and the body's
    `facts`.
    """
    return hashlib.sha256(
        json.dumps([request.method, request.url.path, *facts]).encode()
    ).hexdigest()


class Idempotency:
    """Answers of creations, by tenant and key, for a day."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def once(
        self, tenant: str, key: str | None, mark: str, create: Callable[[], Awaitable[JSONResponse]]
    ) -> Response:
        """Return `create`'s answer, or the one that this key's first request got.

        Raises mismatch or in_progress.
        """
        if key is None:
            return await create()
        name = idempotency_name(tenant, key)
        if stored := await to_thread.run_sync(self._reserve, name, mark):
            return stored.response()
        try:
            response = await create()
        except BaseException:
            await to_thread.run_sync(self._release, name)
            raise
        answer = StoredAnswer(
            response.status_code,
            bytes(response.body).decode(),
            response.headers.get("location", ""),
        )
        await to_thread.run_sync(self._keep, name, answer)
        return response

    def _reserve(self, name: str, mark: str) -> StoredAnswer | None:
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hsetnx(name, "fingerprint", mark)
            pipeline.hmget(name, "fingerprint", "answer")
            pipeline.ttl(name)
            is_new, (seen, answer), ttl_s = pipeline.execute()
            if is_new or ttl_s < 0:
                self._redis.expire(name, RUNNING_S)
        if is_new:
            return None
        if seen.decode() != mark:
            raise ServiceError("idempotency_mismatch")
        if answer is None:
            raise ServiceError("idempotency_in_progress", headers={"Retry-After": "1"})
        return StoredAnswer(**cast(dict[str, str], json.loads(answer)))  # type: ignore[arg-type]

    def _keep(self, name: str, answer: StoredAnswer) -> None:
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(name, "answer", json.dumps(answer.__dict__))
            pipeline.expire(name, KEPT_S)
            pipeline.execute()

    def _release(self, name: str) -> None:
        with reaching():
            self._redis.delete(name)
