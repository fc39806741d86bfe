"""The register of identities: what may be shown of them, and of their erasure.

A tombstone says whose identity it was and when it was erased; of the face it keeps nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redis import Redis

from worker.errors import IdentityErased, Missing, UnknownIdentity
from worker.stores.connection import Reply, as_hash, reaching, text_fields
from worker.stores.erasure import ErasureFeed
from worker.stores.identities.identity_records import (
    ErasureReceipt,
    IdentityRecord,
    identity_fields,
    read_identity,
    read_receipt,
    stored_fields,
)
from worker.stores.identities.identity_vault import Key
from worker.stores.identities.weight_store import WeightStore
from worker.stores.ids import is_id
from worker.stores.keys import ERASED, IDENTITY, TENANT_IDENTITIES
from worker.stores.listing import LOOKED_AT, newest_first, take_page
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep

log = logging.getLogger(__name__)


class IdentityRegister:
    """Records of identities and receipts of erasures."""

    def __init__(self, redis: Redis, weights: WeightStore, clock: Callable[[], float]) -> None:
        """Read records in `redis`; `weights` tells whether an identity's are cached."""
        self.redis = redis
        self._weights = weights
        self._clock = clock
        self._scripts = Scripts(redis)
        self._upkeep = Upkeep(redis, clock)
        self._erasures = ErasureFeed(redis)

    def get(self, identity_id: str, tenant: str | None = None) -> IdentityRecord:
        """Return an identity's record; with a tenant, only if it is that tenant's.

        Raises:
            UnknownIdentity, IdentityErased
        """
        fields = self._fields(identity_id, tenant)
        pack = fields["pack"]
        has_weights = _refined_field(pack) in fields or self._weights.has(identity_id, pack)
        return read_identity(fields, cached=has_weights)

    def exists(self, identity_id: str) -> bool:
        """Return whether there is a record."""
        with reaching():
            return bool(self.redis.exists(IDENTITY(identity_id)))

    def peek(self, identity_id: str, tenant: str | None = None) -> IdentityRecord:
        """Return what `get` does, in one step: it leaves open whether weights are cached."""
        return read_identity(self._fields(identity_id, tenant), cached=False)

    def count(self, tenant: str) -> int:
        """Return how many identities a tenant has."""
        with reaching():
            return self.redis.zcard(TENANT_IDENTITIES(tenant))

    def list(
        self, tenant: str, limit: int = 50, cursor: str | None = None, subject: str | None = None
    ) -> tuple[Sequence[IdentityRecord], str | None]:
        """Return the tenant's identities, newest first, and the cursor of the next page.

        With `subject`, only those whose consent names this person; such a page may be short, even
        empty, before the last one, because it looks at no more than `LOOKED_AT` identities.
        """
        return take_page(self._rows(tenant, cursor, subject), limit, LOOKED_AT)

    def _rows(
        self, tenant: str, cursor: str | None, subject: str | None
    ) -> Iterator[tuple[str, IdentityRecord | None]]:
        for ids in newest_first(self.redis, TENANT_IDENTITIES(tenant), cursor):
            for identity_id in ids:
                record = self._get_if_readable(identity_id)
                is_wanted = record is not None and subject in (
                    None,
                    (record.consent or {}).get("subject"),
                )
                yield identity_id, record if is_wanted else None

    def _get_if_readable(self, identity_id: str) -> IdentityRecord | None:
        try:
            return self.get(identity_id)
        except Missing:  # erased between the index and here
            return None
        except (ValueError, KeyError, TypeError):  # one bad record must not break a list
            log.exception("identity record is unreadable", extra={"identity": identity_id})
            return None

    def annotate(self, identity_id: str, **fields: Any) -> None:  # noqa: ANN401 - goes straight into JSON
        """Change what is recorded of an identity (`refinement`, `quality`, …).

        Raises UnknownIdentity.
        """
        changes = {name: json.dumps(value) for name, value in fields.items()}
        answer = self._scripts.run(
            "annotate_identity", {"identity": identity_id, "fields": changes}
        )
        if answer != b"changed":
            raise UnknownIdentity

    def note_erasure(self, identity_id: str, jobs_canceled: int, results_deleted: int) -> None:
        """Add to an erasure's receipt what was removed with the identity."""
        counts = {"jobs_canceled": jobs_canceled, "results_deleted": results_deleted}
        with reaching():
            self.redis.hset(ERASED(identity_id), mapping=as_hash(counts))

    def receipt(self, identity_id: str, tenant: str) -> ErasureReceipt:
        """Return the receipt of an earlier erasure; raises UnknownIdentity."""
        with reaching():
            owner: Reply = self.redis.hget(ERASED(identity_id), "tenant")

        if owner is None or owner.decode() != tenant:
            raise UnknownIdentity

        return self._receipt(identity_id)

    def _receipt(self, identity_id: str) -> ErasureReceipt:
        with reaching():
            tombstone = text_fields(self.redis.hgetall(ERASED(identity_id)))
        return read_receipt(identity_id, tombstone, self._erasures.rewritten_at())

    # For `IdentityStore`: fields that are about what is sealed and cached

    def _add(self, record: IdentityRecord, key: Key) -> None:
        """Record a new identity with the key of what is sealed of it."""
        fields = {**identity_fields(record), "key": key.hex()}

        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hset(IDENTITY(record.id), mapping=as_hash(fields))
            # All scores are 0, so that the index sorts by id, which is by time.
            pipeline.zadd(TENANT_IDENTITIES(record.tenant), {record.id: 0})

            if record.expires_at is not None:
                self._upkeep.expire_at(record.id, record.expires_at, pipeline)

            pipeline.execute()

    def _refined(self, identity_id: str, pack: str) -> tuple[str, Key] | None:
        """Return the name of refined weights in the vault and their key; None without any."""
        with reaching():
            found: Reply = self.redis.hmget(IDENTITY(identity_id), [_refined_field(pack), "key"])

        name, key = found
        if name is None or key is None:
            return None

        return name.decode(), bytes.fromhex(key.decode())

    def _forget_refined(self, identity_id: str, pack: str) -> None:
        with reaching():
            self.redis.hdel(IDENTITY(identity_id), _refined_field(pack))

    def _fields(self, identity_id: str, tenant: str | None) -> dict[str, str]:
        if not is_id(identity_id, "idn"):
            raise UnknownIdentity
        with reaching():
            fields = stored_fields(identity_id, self.redis.hgetall(IDENTITY(identity_id)))
            tombstone = {} if fields else text_fields(self.redis.hgetall(ERASED(identity_id)))

        # Another tenant's identity reads as if there were none, erased or not.
        known = fields or tombstone
        if not known or (tenant is not None and known["tenant"] != tenant):
            raise UnknownIdentity
        if not fields:
            raise IdentityErased

        return fields


def _refined_field(pack: str) -> str:
    """Return the field of a record that names the refined weights in the vault."""
    return f"refined:{pack}"
