"""Bodies of webhook endpoints, keys, packs, capacity and health."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from service.schemas.fields import (
    EARLY,
    Plain,
    Url,
    example,
)
from worker.contract.options import Strict
from worker.stores.key_store import Scope

TenantScope = Literal["identities:write", "jobs:write", "jobs:read", "audit:read", "admin"]
"""Scopes that a tenant's admin may give away: all but `operator`."""


class WebhookEndpointRequest(Strict):
    """Where to send the events of this tenant's jobs."""

    model_config = example(url="https://app.example.org/hooks/likeness")

    url: Url = Field(description="A public address that answers 2xx.")


class WebhookEndpoint(Strict):
    """A registered receiver; `secret` is shown when it is made or rotated, and never again."""

    model_config = example(
        id="whe_06avht7m3k5p8r2t4w6y9a1c3e",
        url="https://app.example.org/hooks/likeness",
        enabled=True,
        created_at=EARLY,
        secret="whsec_shown_once",  # noqa: S106 - an example, not a secret
    )

    id: str = Field(description="`whe_` and 26 characters.")
    url: str = Field(description="Where messages go.")
    # False once the receiver has answered 410: it does not want to hear from us.
    enabled: bool = Field(description="Whether messages are sent.")
    disabled_reason: str | None = Field(default=None, description="Why not; null where they are.")
    created_at: datetime = Field(description="When it was registered.")
    secret: str | None = Field(
        default=None,
        description="`whsec_` and what signs messages; null but when it is made or rotated.",
    )


class WebhookSecret(Strict):
    """What signs messages to the `webhook` of a job; one for all jobs of the tenant."""

    model_config = example(secret="whsec_of_this_tenant")  # noqa: S106 - an example, not a secret

    secret: str = Field(description="`whsec_` and what signs messages.")


class WebhookEndpointList(Strict):
    data: tuple[WebhookEndpoint, ...] = Field(description="All receivers of the tenant.")


class Delivery(Strict):
    """One try at delivering a webhook message."""

    model_config = example(
        message_id="msg_06avht7m3k5p8r2t4w6y9a1c3e",
        job_id="job_06avht5b1h7s4d9f2q6tjw3e8r",
        attempt=1,
        status=200,
        outcome="delivered",
        error=None,
        at=EARLY,
    )

    message_id: str = Field(description="The `webhook-id`: the same for all tries.")
    job_id: str = Field(description="The job that ended.")
    attempt: int = Field(description="Which try it was, from 1.")
    status: int = Field(description="The HTTP status of the answer; 0 without an answer.")
    outcome: Literal["delivered", "retried", "disabled", "given_up"] = Field(
        description="`retried`: another try follows; `disabled`: it answered 410."
    )
    error: str | None = Field(description="Why it was not delivered.")
    at: datetime = Field(description="When it was tried.")


class DeliveryList(Strict):
    """Tries at delivering, newest first."""

    data: tuple[Delivery, ...] = Field(description="The tries of the last week.")


class EndpointTest(Strict):
    """What a receiver answered to a test message."""

    model_config = example(delivered=True, status=204, error=None)

    delivered: bool = Field(description="Whether it answered with a 2xx.")
    status: int = Field(description="The HTTP status of the answer; 0 without an answer.")
    error: str | None = Field(description="Why there was no answer.")


class KeyRequest(Strict):
    """A key to make for the caller's own tenant, and what it may do."""

    model_config = example(name="web app", scopes=["identities:write", "jobs:write", "jobs:read"])

    name: Annotated[str, Field(max_length=100), Plain] = Field(
        default="", description="A note for lists."
    )
    scopes: Annotated[frozenset[TenantScope], Field(min_length=1)] = Field(
        description="What the key may do."
    )


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

    id: str = Field(description="What stands between `lk_` and the next `_`.")
    name: str = Field(description="The note for lists.")
    scopes: tuple[Scope, ...] = Field(description="What it may do.")
    created_at: datetime = Field(description="When it was made.")
    expires_at: datetime | None = Field(default=None, description="When it ends; null for never.")
    revoked_at: datetime | None = Field(
        default=None, description="When it was revoked; null where it was not."
    )
    token: str | None = Field(
        default=None, description="The key itself; null but when it is made or rotated."
    )


class KeyList(Strict):
    data: tuple[Key, ...] = Field(description="All keys of the tenant.")


class Model(Strict):
    """A pack that this installation can use."""

    id: str = Field(description="Name and digest, as jobs and identities name it.")
    name: str = Field(description="The pack's name.")
    # One pack is loaded at a time; the member is there for the day of a second one.
    default: bool = Field(description="Whether new identities are made with it.")
    provider: str | None = Field(
        default=None, description="What makes its images: OpenVINO, or a provider of ONNX Runtime."
    )


class ModelList(Strict):
    data: tuple[Model, ...] = Field(description="The packs.")


class QueueCapacity(Strict):
    name: str = Field(description="`image`, `video` or `refine`.")
    queued: int = Field(description="Jobs that wait.")
    running: int = Field(description="Jobs that are done now.")
    # Null for an empty queue: 0 would read as "just arrived".
    oldest_age_s: float | None = Field(
        default=None, description="Seconds that the oldest has waited; null where none waits."
    )


class TenantUse(Strict):
    """What the caller's tenant has in flight, and stored."""

    jobs: int = Field(description="Jobs in flight.")
    bytes: int = Field(description="Bytes of the inputs of jobs in flight.")
    max_jobs: int = Field(description="Jobs that may be in flight; more answer `quota_exceeded`.")
    max_bytes: int = Field(description="Bytes of inputs that may be in flight.")
    # Includes what the caller has forgotten about: uploads and results not yet expired.
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
            "max_jobs": 200,
            "max_bytes": 17_179_869_184,
            "stored_bytes": 1_048_576,
            "max_stored_bytes": 17_179_869_184,
        },
    )

    # All tenants together, in numbers that name nobody.
    queues: tuple[QueueCapacity, ...] = Field(description="Each queue.")
    workers: int = Field(description="Workers that are up.")
    accepting: bool = Field(description="Whether a new job would be accepted.")
    limit: int = Field(description="Jobs that may be in flight, of all tenants together.")
    # Of the caller alone: how much others use is nobody's business.
    tenant: TenantUse = Field(description="What the caller's tenant uses.")


class Health(BaseModel):
    # One word for dashboards; orchestrators go by the HTTP status.
    status: Literal["ok", "starting", "unavailable"] = Field(
        description="Whether requests can be served."
    )
    # Free-form: checks come and go with what is installed.
    checks: dict[str, JsonValue] = Field(
        default_factory=dict, description="What was looked at, by name."
    )
