"""Bodies of browser tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.schemas.fields import LATE, example
from worker.contract.options import Strict

# What a page needs. Never `admin` or `audit:read`: whoever opens the page can read its token.
TokenScope = Literal["identities:read", "identities:write", "jobs:write", "jobs:read"]
Origin = Annotated[
    str,
    Field(
        max_length=300,
        pattern=r"^https?://([a-z0-9.-]{1,253}|\[[0-9a-f:]{2,39}\])(:[0-9]{1,5})?$",
        description="Scheme, host and port of the page, as its browser sends it in `Origin`.",
    ),
]


class TokenRequest(Strict):
    """For which pages a token is to be, what they may do with it, and for how long."""

    model_config = example(
        origin="https://app.example.org", scopes=["jobs:write", "jobs:read"], ttl_s=900
    )

    origin: Origin
    scopes: Annotated[
        frozenset[TokenScope],
        Field(min_length=1, description="What the page may do: some of the key's own scopes."),
    ]
    ttl_s: Annotated[
        int, Field(ge=60, le=3600, description="Seconds for which the token is valid.")
    ] = 900


class BrowserToken(Strict):
    """A token for pages of one origin; it is not shown again."""

    model_config = example(
        token="lk_0f3a5c7e9b1d2f4a_shown_once",  # noqa: S106 - an example, not a secret
        origin="https://app.example.org",
        scopes=["jobs:read", "jobs:write"],
        expires_at=LATE,
    )

    token: str = Field(
        description="Sent as `Authorization: Bearer`, or as the query's `access_token` of a GET."
    )
    origin: str = Field(description="The pages that it serves.")
    scopes: tuple[TokenScope, ...] = Field(description="What it may do.")
    expires_at: datetime = Field(description="When it ends.")
