"""Idempotency-Key for creations that are not jobs.

A job's key is decided in the same atomic step as its admission. Of a creation only the id of
the resource is stored, never the response: a retry reads the resource again, or answers 410.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from service.protocol.problems import ServiceError
from worker.contract.requests import IdempotencyKey
from worker.errors import Gone, Missing
from worker.stores.jobs.idempotency_store import IdempotencyStore


@dataclass(frozen=True)
class Created:
    """A resource that a request made: its id, its path, and the body that shows it."""

    id: str
    path: str
    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, replayed: bool = False) -> Response:
        """Return the 201 for the resource."""
        headers = {"Location": self.path, **self.headers}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return JSONResponse(self.body.model_dump(mode="json"), 201, headers=headers)


def key_of(request: Request) -> str | None:
    """Return the request's Idempotency-Key.

    Raises invalid_parameter when it is empty, too long or unprintable.
    """
    key = request.headers.get("idempotency-key")
    # The bounds of the IETF draft's common practice; the key is hashed before it is stored.
    if key is not None and not (1 <= len(key) <= 255 and key.isprintable()):
        raise ServiceError(
            "invalid_parameter", "Idempotency-Key must have 1 to 255 printable characters"
        )

    return key


def fingerprint(request: Request, *facts: str) -> str:
    """Return the SHA-256 of what makes two requests the same: method, path, the body's `facts`."""
    parts = [request.method, request.url.path, *facts]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Idempotency:
    """Ids of created resources, by tenant and key, for a day."""

    def __init__(self, keys: IdempotencyStore) -> None:
        self._keys = keys

    async def once(
        self,
        tenant: str,
        key: str | None,
        mark: str,
        *,
        create: Callable[[], Awaitable[Created]],
        read: Callable[[str], Awaitable[Created]],
    ) -> Response:
        """Return what `create` makes, or on a retry what `read` finds under the first one's id.

        Raises idempotency_mismatch, idempotency_in_progress, and a 410 when it was deleted.
        """
        # Without a key every request is a new one.
        if key is None:
            return (await create()).response()

        reserved = IdempotencyKey(key, mark)
        if resource_id := await to_thread.run_sync(self._keys.reserve, tenant, reserved):
            return (await _replayed(read, resource_id)).response(replayed=True)
        try:
            created = await create()
        except BaseException:  # also a client that disconnects: its retry must not wait
            await to_thread.run_sync(self._keys.release, tenant, key)
            raise

        await to_thread.run_sync(self._keys.keep, tenant, key, created.id)
        return created.response()


async def _replayed(read: Callable[[str], Awaitable[Created]], resource_id: str) -> Created:
    try:
        return await read(resource_id)
    # Erased identities have a code of their own, which says more than `gone`.
    except Gone:
        raise
    except Missing as error:
        raise ServiceError("gone") from error
