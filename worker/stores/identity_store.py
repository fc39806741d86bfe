"""Identities: the durable code of a face, and the bounded cache of the weights derived from it.

lk:identity:{id}          hash    record; `:code` bytes, `:packs` packs with weights, `:jobs` jobs
that used it lk:weights:{id}:{pack}    bytes   derived, may vanish at any time; lk:weights:lru,
:sizes and :bytes keep the bound lk:refined:{id}:{pack}    bytes   polished, durable; read in the
place of the derived ones lk:erased:{id}            hash    tombstone: whose it was and when it
went, nothing of the face
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from worker.errors import IdentityErased, Missing, StoreUnavailable, UnknownIdentity
from worker.stores.connection import Reply, Scripts, as_hash, reaching, text_fields, texts
from worker.stores.ids import is_id

log = logging.getLogger(__name__)

LOOKED_AT = 2000  # records that one page of a filtered listing may cost
LOCK_TTL_S = 30.0
LOCK_POLL_S = 0.02
DIGEST_BYTES = 32


@dataclass(frozen=True)
class IdentityLimits:
    weights_bytes: int = 256 << 20  # about 320 identities of 823 KB
    tombstone_ttl_s: int = 365 * 86400


@dataclass(frozen=True)
class IdentityRecord:
    """What may be shown of an identity; times are seconds since the epoch."""

    id: str
    tenant: str
    pack: str
    created_at: float
    name: str | None = None
    expires_at: float | None = None
    quality: str = "instant"
    photos: Sequence[Mapping[str, Any]] = ()
    photo_sha256: Sequence[str] = ()  # so that erasure also finds later uploads of these photos
    consent: Mapping[str, Any] | None = None
    consent_receipt: str = ""  # hash of consent, identity and `receipt_salt`; in outputs
    receipt_salt: str = ""
    refinement: Mapping[str, Any] | None = None
    uses: int = 0
    cached: bool = False
    version: int = 1


@dataclass(frozen=True)
class ErasureReceipt:
    """Proof of an erasure.

    `log_rewritten_at` is None until the store's append-only file is rewritten too.
    """

    identity_id: str
    erased_at: float
    keys: int
    log_rewritten_at: float | None
    jobs: Sequence[str] = ()
    photo_sha256: Sequence[str] = ()
    jobs_canceled: int | None = None
    results_deleted: int | None = None


def sealed(weights: bytes) -> bytes:
    """Return weights as they are kept: behind their SHA-256, for a flipped bit shows in a face."""
    return hashlib.sha256(weights).digest() + weights


def unsealed(kept: bytes) -> bytes | None:
    """Return the weights that were sealed, or None when they are not what they were."""
    digest = kept[:DIGEST_BYTES]
    weights = kept[DIGEST_BYTES:]
    return weights if hashlib.sha256(weights).digest() == digest else None


class IdentityStore:
    """Records, codes and cached weights of identities."""

    def __init__(
        self,
        redis: Redis,
        limits: IdentityLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.redis = redis
        self._limits = limits or IdentityLimits()
        self._clock = clock
        self._scripts = Scripts(redis)

    def put(self, record: IdentityRecord, code: bytes, weights: bytes) -> None:
        """Keep a new identity for good and its weights for as long as there is room.

        Raises:
            StoreUnavailable, StoreFull: nothing is kept.
        """
        key = f"lk:identity:{record.id}"
        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hset(key, mapping=as_hash(_to_fields(record)))
            pipeline.set(f"{key}:code", code)
            pipeline.zadd(f"lk:tenant:{record.tenant}:identities", {record.id: 0})

            if record.expires_at is not None:
                pipeline.zadd("lk:expiry", {record.id: record.expires_at})

            pipeline.execute()

        self.put_weights(record.id, record.pack, weights)

    def get(self, identity_id: str, tenant: str | None = None) -> IdentityRecord:
        """An identity's record; with a tenant, only if it is that tenant's.

        Raises:
            UnknownIdentity, IdentityErased
        """
        fields = self._fields(identity_id, tenant)
        with reaching():
            cached = self.redis.exists(
                *(f"lk:{made}:{identity_id}:{fields['pack']}" for made in ("weights", "refined"))
            )

        return _from_fields(fields, bool(cached))

    def list(
        self, tenant: str, limit: int = 50, cursor: str | None = None, subject: str | None = None
    ) -> tuple[Sequence[IdentityRecord], str | None]:
        """The tenant's identities, newest first, and the cursor of the next page.

        With `subject`, only those whose consent names this person; such a page may be short, even
        empty, before the last one, because it looks at no more than `LOOKED_AT` identities.
        """
        found: list[IdentityRecord] = []
        for looked_at, (identity_id, record) in enumerate(self._newest_first(tenant, cursor), 1):
            if record is not None and subject in (None, (record.consent or {}).get("subject")):
                found.append(record)
            if len(found) > limit:
                return found[:limit], found[limit - 1].id
            if looked_at == LOOKED_AT:
                return found, identity_id

        return found, None

    def _newest_first(
        self, tenant: str, cursor: str | None, batch: int = 100
    ) -> Iterator[tuple[str, IdentityRecord | None]]:
        """Yield ids with their records; None for one that was erased meanwhile or is unreadable."""
        key = f"lk:tenant:{tenant}:identities"
        upper = f"({cursor}" if cursor else "+"

        while True:
            with reaching():
                ids = texts(self.redis.zrevrangebylex(key, upper, "-", start=0, num=batch))

            for identity_id in ids:
                yield identity_id, self._get_if_readable(identity_id)

            if len(ids) < batch:
                return

            upper = f"({ids[-1]}"

    def _get_if_readable(self, identity_id: str) -> IdentityRecord | None:
        try:
            return self.get(identity_id)
        except Missing:
            return None
        except (ValueError, KeyError, TypeError):  # one bad record must not break a list
            log.exception("identity record is unreadable", extra={"identity": identity_id})
            return None

    def code(self, identity_id: str, tenant: str | None = None) -> bytes:
        """The identity's code as it was put.

        Raises:
            UnknownIdentity, IdentityErased
        """
        self._fields(identity_id, tenant)
        with reaching():
            code: Reply = self.redis.get(f"lk:identity:{identity_id}:code")

        if code is None:
            raise IdentityErased

        return bytes(code)

    def weights(self, identity_id: str, pack: str) -> bytes | None:
        """Return the weights for this pack, refined or cached, or None when they must be rebuilt
        from the code: there are none, or they are no longer what was put.
        """
        arguments = {"identity": identity_id, "pack": pack, "now_ms": int(self._clock() * 1000)}
        found: bytes | None = self._scripts.run("get_weights", arguments)

        if found is None:
            return None
        if (weights := unsealed(found)) is not None:
            return weights

        log.error("kept weights are corrupt", extra={"identity": identity_id, "pack": pack})
        with reaching():
            self.redis.hincrby("lk:stats", "weights:corrupt", 1)

        # Cached ones are replaced by what is rebuilt; refined ones would come first for ever.
        return self.weights(identity_id, pack) if self._drop_refined(identity_id, pack) else None

    def _drop_refined(self, identity_id: str, pack: str) -> bool:
        """Remove refined weights; False when there are none. The identity is instant again."""
        with reaching():
            dropped = bool(self.redis.delete(f"lk:refined:{identity_id}:{pack}"))

        if dropped:
            with suppress(UnknownIdentity):  # erased meanwhile
                self.annotate(identity_id, quality="instant", refinement={"status": "lost"})

        return dropped

    def put_weights(self, identity_id: str, pack: str, weights: bytes) -> bool:
        """Cache weights, evicting the least recently used.

        False when the identity is gone or they are too large.
        """
        arguments = {
            "identity": identity_id,
            "pack": pack,
            "bound": self._limits.weights_bytes,
            "now_ms": int(self._clock() * 1000),
        }
        return bool(self._scripts.run("put_weights", arguments, blob=sealed(weights)) == b"stored")

    def weights_or_build(
        self, identity_id: str, pack: str, build: Callable[[bytes], bytes]
    ) -> bytes:
        """The weights, built from the code by one caller at a time where the cache has lost them.

        Raises:
            UnknownIdentity, IdentityErased
        """
        lock = f"lk:weights:{identity_id}:{pack}:lock"
        token = secrets.token_hex(8)
        deadline = time.monotonic() + 2 * LOCK_TTL_S

        while time.monotonic() < deadline:
            if (found := self.weights(identity_id, pack)) is not None:
                return found
            with reaching():
                ours = self.redis.set(lock, token, nx=True, px=int(LOCK_TTL_S * 1000))

            if ours:
                try:
                    built = build(self.code(identity_id))
                    self.put_weights(identity_id, pack, built)
                    return built
                finally:
                    self._scripts.run("unlock", {"name": lock, "token": token})

            time.sleep(LOCK_POLL_S)

        raise StoreUnavailable("The identity's weights could not be rebuilt in time.")

    def put_refined(
        self, identity_id: str, pack: str, weights: bytes, refinement: Mapping[str, Any]
    ) -> None:
        """Let polished weights take the place of the derived ones, for good; `refinement` tells how
        it went.

        Raises:
            IdentityErased, StoreUnavailable, StoreFull
        """
        arguments = {
            "identity": identity_id,
            "pack": pack,
            "refinement": json.dumps(dict(refinement)),
        }
        if self._scripts.run("put_refined", arguments, blob=sealed(weights)) != b"stored":
            raise IdentityErased

    def annotate(self, identity_id: str, **fields: Any) -> None:  # noqa: ANN401 - goes straight into JSON
        """Change what is recorded of an identity (`refinement`, `quality`, …).

        Raises UnknownIdentity.
        """
        changes = {name: json.dumps(value) for name, value in fields.items()}
        if (
            self._scripts.run("annotate_identity", {"identity": identity_id, "fields": changes})
            != b"changed"
        ):
            raise UnknownIdentity

    def erase(self, identity_id: str, tenant: str | None = None) -> ErasureReceipt:
        """Remove the identity for good; the receipt names the jobs that used it, which are the
        caller's to end.

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

        return replace(
            self._receipt(identity_id), jobs=texts(answer)[1:], photo_sha256=tuple(digests)
        )

    def note_erasure(self, identity_id: str, jobs_canceled: int, results_deleted: int) -> None:
        """Add to an erasure's receipt what went with the identity."""
        counts = {"jobs_canceled": jobs_canceled, "results_deleted": results_deleted}
        with reaching():
            self.redis.hset(f"lk:erased:{identity_id}", mapping=as_hash(counts))

    def receipt(self, identity_id: str, tenant: str) -> ErasureReceipt:
        """The receipt of an earlier erasure; raises UnknownIdentity."""
        with reaching():
            owner: Reply = self.redis.hget(f"lk:erased:{identity_id}", "tenant")

        if owner is None or owner.decode() != tenant:
            raise UnknownIdentity

        return self._receipt(identity_id)

    def _receipt(self, identity_id: str) -> ErasureReceipt:
        with reaching():
            tombstone = text_fields(self.redis.hgetall(f"lk:erased:{identity_id}"))
            rewritten: Reply = self.redis.get("lk:erasure:rewritten")

        erased_at = float(tombstone["erased_at"])
        through = (
            float(rewritten) if rewritten is not None and float(rewritten) >= erased_at else None
        )
        return ErasureReceipt(
            identity_id=identity_id,
            erased_at=erased_at,
            keys=int(tombstone["keys"]),
            log_rewritten_at=through,
            jobs_canceled=_count(tombstone, "jobs_canceled"),
            results_deleted=_count(tombstone, "results_deleted"),
        )

    def _fields(self, identity_id: str, tenant: str | None) -> dict[str, str]:
        if not is_id(identity_id, "idn"):
            raise UnknownIdentity
        with reaching():
            fields = text_fields(self.redis.hgetall(f"lk:identity:{identity_id}"))
            tombstone = (
                text_fields(self.redis.hgetall(f"lk:erased:{identity_id}")) if not fields else {}
            )

        known = fields or tombstone
        if not known or (tenant is not None and known["tenant"] != tenant):
            raise UnknownIdentity
        if not fields:
            raise IdentityErased

        return fields


def _count(tombstone: Mapping[str, str], name: str) -> int | None:
    return int(tombstone[name]) if name in tombstone else None


def _to_fields(record: IdentityRecord) -> dict[str, str | int]:
    return {
        "id": record.id,
        "tenant": record.tenant,
        "pack": record.pack,
        "created_at": repr(record.created_at),
        "name": json.dumps(record.name),
        "expires_at": json.dumps(record.expires_at),
        "quality": json.dumps(record.quality),
        "photos": json.dumps([dict(photo) for photo in record.photos]),
        "photo_sha256": json.dumps(list(record.photo_sha256)),
        "consent": json.dumps(dict(record.consent) if record.consent else None),
        "consent_receipt": record.consent_receipt,
        "receipt_salt": record.receipt_salt,
        "refinement": json.dumps(dict(record.refinement) if record.refinement else None),
        "uses": record.uses,
        "version": record.version,
    }


def _from_fields(fields: Mapping[str, str], cached: bool) -> IdentityRecord:
    return IdentityRecord(
        id=fields["id"],
        tenant=fields["tenant"],
        pack=fields["pack"],
        created_at=float(fields["created_at"]),
        name=json.loads(fields["name"]),
        expires_at=json.loads(fields["expires_at"]),
        quality=json.loads(fields["quality"]),
        photos=json.loads(fields["photos"]),
        photo_sha256=json.loads(fields.get("photo_sha256", "[]")),
        consent=json.loads(fields["consent"]),
        consent_receipt=fields.get("consent_receipt", ""),
        receipt_salt=fields.get("receipt_salt", ""),
        refinement=json.loads(fields["refinement"]),
        uses=int(fields["uses"]),
        cached=cached,
        version=int(fields["version"]),
    )
