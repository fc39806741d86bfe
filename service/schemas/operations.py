"""Bodies of webhook endpoints, keys, packs, capacity and health."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from service.schemas.fields import (
    EARLY,
    Url,
    example,
)
from worker.contract import (
    Strict,
)
from worker.stores.key_store import Scope

TenantScope = Literal["identities:write", "jobs:write", "jobs:read", "audit:read", "admin"]
"""Scopes that a tenant's admin may give away: all but `operator`."""


class WebhookEndpointRequest(Strict):
    """Where to send the events of this tenant's jobs."""

    model_config = example(url="https://app.example.org/hooks/likeness")

    url: Url


class WebhookEndpoint(Strict):
    """A registered receiver; `secret` is shown when it is made or rotated, and never again."""

    model_config = example(
        id="whe_06avht7m3k5p8r2t4w6y9a1c3e",
        url="https://app.example.org/hooks/likeness",
        enabled=True,
        created_at=EARLY,
        secret="whsec_shown_once",  # noqa: S106 - an example, not a secret
    )

    id: str
    url: str
    enabled: bool
    disabled_reason: str | None = None
    created_at: datetime
    secret: str | None = None


class WebhookSecret(Strict):
    """What signs messages to the `webhook` of a job; one for all jobs of the tenant."""

    model_config = example(secret="whsec_of_this_tenant")  # noqa: S106 - an example, not a secret

    secret: str


class WebhookEndpointList(Strict):
    data: tuple[WebhookEndpoint, ...]


class KeyRequest(Strict):
    """A key to make for the caller's own tenant, and what it may do."""

    model_config = example(name="web app", scopes=["identities:write", "jobs:write", "jobs:read"])

    name: Annotated[str, Field(max_length=100)] = ""
    scopes: Annotated[frozenset[TenantScope], Field(min_length=1)]


class Key(Strict):
    """An API key without its secret.

    `token` is shown when it is made or rotated, and never again.
    """

    model_config = example(
        id="0f3a5c7e9b1d2f4a",
        name="web app",
        scopes=["identities:write", "jobs:read", "jobs:write"],
        created_at=EARLY,
        expires_at=None,
        revoked_at=None,
        token=None,
    )

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    token: str | None = None


class KeyList(Strict):
    data: tuple[Key, ...]


class Model(Strict):
    """A pack that this installation can use."""

    id: str
    name: str
    # One pack is loaded at a time; the member is there for the day of a second one.
    default: bool
    provider: str | None = None


class ModelList(Strict):
    data: tuple[Model, ...]


class QueueCapacity(Strict):
    name: str
    queued: int
    running: int
    oldest_age_s: float | None = None


class TenantUse(Strict):
    """What the caller's tenant has in flight, and stored."""

    jobs: int
    bytes: int = Field(description="Bytes of the inputs of jobs in flight.")
    stored_bytes: int = Field(description="Bytes of uploads and results.")
    max_stored_bytes: int = Field(description="At this many, requests answer `storage_quota`.")


class Capacity(Strict):
    """How full the service is, and how much of it this tenant uses."""

    model_config = example(
        queues=[{"name": "image", "queued": 2, "running": 1, "oldest_age_s": 0.4}],
        workers=2,
        accepting=True,
        limit=1000,
        tenant={
            "jobs": 1,
            "bytes": 183_202,
            "stored_bytes": 1_048_576,
            "max_stored_bytes": 17_179_869_184,
        },
    )

    queues: tuple[QueueCapacity, ...]
    workers: int
    accepting: bool
    limit: int = Field(description="Jobs that may be in flight, of all tenants together.")
    tenant: TenantUse


class Health(BaseModel):
    status: Literal["ok", "starting", "unavailable"]
    checks: dict[str, JsonValue] = Field(default_factory=dict)
