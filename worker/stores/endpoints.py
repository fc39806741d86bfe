"""Webhook endpoints: where tenants want to hear of their jobs, and what signs the messages."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from redis import Redis

from worker.errors import UnknownEndpoint
from worker.stores.connection import reaching, text_fields, texts
from worker.stores.ids import new_id
from worker.stores.keys import ENDPOINT, TENANT_ENDPOINTS
from worker.stores.tenants import TenantStore


@dataclass(frozen=True)
class Endpoint:
    """Where a tenant wants to hear of its jobs; `secrets` are newest first, all of them sign.

    Never shown again.
    """

    id: str
    tenant: str
    url: str
    created_at: float
    disabled_reason: str | None
    secrets: Sequence[str] = field(repr=False)


class EndpointStore:
    """Endpoints by tenant."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._tenants = TenantStore(redis)

    def add(self, tenant: str, url: str) -> Endpoint:
        """Register an address; its `secrets` are to be shown this once."""
        now = self._clock()
        endpoint = Endpoint(
            id=new_id("whe", now),
            tenant=tenant,
            url=url,
            created_at=now,
            disabled_reason=None,
            secrets=[new_secret()],
        )
        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.hset(
                ENDPOINT(endpoint.id),
                mapping={
                    "tenant": tenant,
                    "url": url,
                    "created_at": repr(endpoint.created_at),
                    "secrets": json.dumps([[endpoint.secrets[0], None]]),
                },
            )

            pipeline.sadd(TENANT_ENDPOINTS(tenant), endpoint.id)
            pipeline.execute()

        return endpoint

    def get(self, endpoint_id: str, tenant: str | None = None) -> Endpoint:
        """Return an endpoint; raises UnknownEndpoint, also when it is another tenant's."""
        with reaching():
            fields = text_fields(self._redis.hgetall(ENDPOINT(endpoint_id)))

        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownEndpoint

        return self._read(endpoint_id, fields)

    def list(self, tenant: str) -> Sequence[Endpoint]:
        """Return the tenant's endpoints, oldest first; disabled ones too."""
        with reaching():
            ids = texts(self._redis.smembers(TENANT_ENDPOINTS(tenant)))
        return [self.get(endpoint_id) for endpoint_id in sorted(ids)]

    def rotate(self, endpoint_id: str, tenant: str, overlap_s: float = 86400.0) -> Endpoint:
        """Add a new secret; the old one goes on signing beside it for `overlap_s`. Raises
        UnknownEndpoint.

        A secret that an earlier rotation replaced goes now: it may have leaked, and headers must
        not grow.
        """
        current = self.get(endpoint_id, tenant).secrets[0]
        # The newest signs first; receivers try signatures in order.
        kept = [(new_secret(), None), (current, self._clock() + overlap_s)]

        with reaching():
            self._redis.hset(ENDPOINT(endpoint_id), "secrets", json.dumps(kept))

        return self.get(endpoint_id)

    def delete(self, endpoint_id: str, tenant: str) -> None:
        """Forget an endpoint; what waits for it is dropped. Raises UnknownEndpoint."""
        self.get(endpoint_id, tenant)
        with reaching(), self._redis.pipeline() as pipeline:
            # Off the list first: the next job's end must not post to it.
            pipeline.srem(TENANT_ENDPOINTS(tenant), endpoint_id)
            pipeline.delete(ENDPOINT(endpoint_id))
            pipeline.execute()

    def disable(self, endpoint_id: str, reason: str) -> None:
        """Stop sending to an endpoint (it answered 410, or never); raises UnknownEndpoint."""
        self.get(endpoint_id)
        with reaching():
            self._redis.hset(ENDPOINT(endpoint_id), "disabled_reason", reason)

    def tenant_secret(self, tenant: str) -> str:
        """Return the secret that signs messages to addresses given with a job."""
        return self._tenants.webhook_secret(tenant, new_secret())

    def _read(self, endpoint_id: str, fields: Mapping[str, str]) -> Endpoint:
        valid = [
            secret
            for secret, ends in json.loads(fields["secrets"])
            if ends is None or ends > self._clock()
        ]
        return Endpoint(
            id=endpoint_id,
            tenant=fields["tenant"],
            url=fields["url"],
            created_at=float(fields["created_at"]),
            disabled_reason=fields.get("disabled_reason"),
            secrets=valid,
        )


def new_secret() -> str:
    """Return a signing secret as Standard Webhooks writes it: 24 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
