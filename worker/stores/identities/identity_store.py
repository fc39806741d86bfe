"""Identities in the store: a record with the key to what is sealed of a face, a cache of weights,
and a tombstone once erased.

The tombstone says whose identity it was and when it was erased; of the face it keeps nothing.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from worker.errors import (
    IdentityErased,
    MediaUnavailable,
    Missing,
    StoreUnavailable,
    UnknownIdentity,
)
from worker.stores.connection import Reply, as_hash, reaching, text_fields, texts
from worker.stores.erasure import ErasureFeed
from worker.stores.identities.identity_records import (
    ErasureReceipt,
    IdentityRecord,
    identity_fields,
    read_identity,
    read_receipt,
    stored_fields,
)
from worker.stores.identities.identity_vault import IdentityVault, Key, SealBroken, new_key
from worker.stores.identities.weight_store import LOCK_TTL_S, WeightsCorrupt, WeightStore
from worker.stores.ids import is_id
from worker.stores.keys import ERASED, IDENTITY, TENANT_IDENTITIES
from worker.stores.listing import newest_first, take_page
from worker.stores.scripts import Scripts
from worker.stores.upkeep import Upkeep

log = logging.getLogger(__name__)

LOOKED_AT = 2000  # records that one page of a filtered listing may cost
LOCK_POLL_S = 0.02  # short beside a rebuild, which takes about a second


CODE = "code"  # its name in the vault


@dataclass(frozen=True)
class IdentityLimits:
    """How much is cached, and for how long an erasure can be proved."""

    weights_bytes: int = 256 << 20  # about 320 identities of 823 KB
    tombstone_ttl_s: int = 365 * 86400


class IdentityStore:
    """Records, codes and weights of identities."""

    def __init__(
        self,
        redis: Redis,
        vault: IdentityVault,
        limits: IdentityLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.redis = redis
        self._vault = vault
        self._limits = limits or IdentityLimits()
        self._clock = clock
        self._scripts = Scripts(redis)
        self._upkeep = Upkeep(redis, clock)
        self._erasures = ErasureFeed(redis)
        self._weights = WeightStore(redis, self._limits.weights_bytes, clock)

    def put(self, record: IdentityRecord, code: bytes, weights: bytes) -> None:
        """Persist a new identity, and cache its weights for as long as there is room.

        Raises:
            StoreUnavailable, StoreFull, MediaUnavailable, DiskFull: nothing is kept that could be
            read.
        """
        # Sealed first: without a record nobody has the key, and the sweep removes it.
        key = new_key()
        self._vault.put(record.id, CODE, key, code)
        fields = {**identity_fields(record), "key": key.hex()}

        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hset(IDENTITY(record.id), mapping=as_hash(fields))
            # All scores are 0, so that the index sorts by id, which is by time.
            pipeline.zadd(TENANT_IDENTITIES(record.tenant), {record.id: 0})

            if record.expires_at is not None:
                self._upkeep.expire_at(record.id, record.expires_at, pipeline)

            pipeline.execute()

        self.put_weights(record.id, record.pack, weights)

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

    def code(self, identity_id: str, tenant: str | None = None) -> bytes:
        """Return the identity's code as it was put.

        Raises:
            UnknownIdentity, IdentityErased
        """
        fields = self._fields(identity_id, tenant)
        try:
            return self._vault.get(identity_id, CODE, _key(fields))
        except FileNotFoundError as error:
            # Erased since its record was read, or lost with the media; the record tells which.
            self._fields(identity_id, tenant)
            raise MediaUnavailable from error

    def weights(self, identity_id: str, pack: str) -> bytes | None:
        """Return the weights for this pack, or None when they must be rebuilt from the code."""
        with suppress(WeightsCorrupt):  # replaced by what is unsealed or rebuilt
            if (cached := self._weights.get(identity_id, pack)) is not None:
                return cached

        return self._unsealed(identity_id, pack)

    def _unsealed(self, identity_id: str, pack: str) -> bytes | None:
        """Return refined weights, which are cached again; None where there are none."""
        with reaching():
            found: Reply = self.redis.hmget(IDENTITY(identity_id), [_refined_field(pack), "key"])
        name, key = found
        if name is None or key is None:
            return None
        try:
            weights = self._vault.get(identity_id, name.decode(), bytes.fromhex(key.decode()))
        except (SealBroken, FileNotFoundError):
            log.exception("refined weights are lost", extra={"identity": identity_id, "pack": pack})
            self._drop_refined(identity_id, pack)
            return None

        self._weights.put(identity_id, pack, weights, refined=True)
        return weights

    def _drop_refined(self, identity_id: str, pack: str) -> None:
        with reaching():
            self.redis.hdel(IDENTITY(identity_id), _refined_field(pack))
        with suppress(UnknownIdentity):  # erased meanwhile
            self.annotate(identity_id, quality="instant", refinement={"status": "lost"})

    def put_weights(self, identity_id: str, pack: str, weights: bytes) -> bool:
        """Cache weights; False when the identity is gone or they are too large."""
        return self._weights.put(identity_id, pack, weights)

    def cached_bytes(self) -> int:
        """Return how many bytes of weights are cached."""
        return self._weights.cached_bytes()

    def weights_or_build(
        self, identity_id: str, pack: str, build: Callable[[bytes], bytes]
    ) -> bytes:
        """Return the weights, rebuilt from the code by one caller at a time where there are none.

        Raises:
            UnknownIdentity, IdentityErased
        """
        # A caller that died holds its lock for one time to live, the next one may take as long.
        deadline = time.monotonic() + 2 * LOCK_TTL_S

        while time.monotonic() < deadline:
            if (weights := self.weights(identity_id, pack)) is not None:
                return weights
            with self._weights.building(identity_id, pack) as is_ours:
                if is_ours:
                    built = build(self.code(identity_id))
                    self.put_weights(identity_id, pack, built)
                    return built

            time.sleep(LOCK_POLL_S)

        raise StoreUnavailable("The identity's weights could not be rebuilt in time.")

    def put_refined(
        self, identity_id: str, pack: str, weights: bytes, refinement: Mapping[str, Any]
    ) -> None:
        """Keep refined weights until the identity is erased; `refinement` says how it went.

        Raises:
            IdentityErased, StoreUnavailable, StoreFull
        """
        key = _key(self._fields(identity_id, None))
        # A name of its own, so that those in use stay whole until the record names these.
        name = f"refined-{secrets.token_hex(8)}"
        self._vault.put(identity_id, name, key, weights)
        arguments = {
            "identity": identity_id,
            "pack": pack,
            "name": name,
            "refinement": json.dumps(dict(refinement)),
        }

        outcome, _, before = self._scripts.run("put_refined", arguments).decode().partition(":")
        if outcome != "stored":
            self._vault.delete(identity_id, name)
            raise IdentityErased

        self._weights.put(identity_id, pack, weights, refined=True)
        if before:
            self._vault.delete(identity_id, before)

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

    def erase(self, identity_id: str, tenant: str | None = None) -> ErasureReceipt:
        """Remove an identity; the receipt names the jobs that used it, which the caller is to end.

        Raises:
            UnknownIdentity, IdentityErased
        """
        digests = json.loads(self._fields(identity_id, tenant).get("photo_sha256", "[]"))
        arguments = {
            "identity": identity_id,
            "now": repr(self._clock()),
            "tombstone_ttl_s": self._limits.tombstone_ttl_s,
        }

        answer = self._scripts.run_durably("erase_identity", arguments)
        if not answer:
            raise IdentityErased

        self._vault.forget(identity_id)
        return replace(
            self._receipt(identity_id), jobs=texts(answer)[1:], photo_sha256=tuple(digests)
        )

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


def _key(fields: Mapping[str, str]) -> Key:
    return bytes.fromhex(fields["key"])


def _refined_field(pack: str) -> str:
    """Return the field of a record that names the refined weights in the vault."""
    return f"refined:{pack}"
