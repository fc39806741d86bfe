"""Puts identities into a store, and finds where what is sealed of them lies."""

from __future__ import annotations

import time
from pathlib import Path

from redis import Redis

from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.identities.identity_vault import folder_of
from worker.stores.ids import new_id

PACK = "open@0123456789ab"


def put(
    identities: IdentityStore,
    weights: bytes = b"w" * 100,
    tenant: str = "acme",
    code: bytes = b"code",
) -> str:
    record = IdentityRecord(
        new_id("idn"), tenant, PACK, time.time(), name="ada", consent={"subject": "ada"}
    )
    identities.put(record, code, weights)
    return record.id


def folder(store: Redis, identity: str) -> Path:
    """Where what is sealed of an identity lies."""
    socket = Path(store.connection_pool.connection_kwargs["path"])
    return socket.parent / "media" / folder_of(identity)
