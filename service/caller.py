"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The tenant a request speaks for, and the key it came with."""

    tenant: str
    key_id: str
    scopes: frozenset[str]
