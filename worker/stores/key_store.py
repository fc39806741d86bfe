"""API keys: `lk_<key id>_<secret>`; of the secret's 32 random bytes only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from redis import Redis

from worker.errors import KeyRefused, UnknownKey
from worker.stores.connection import as_hash, reaching, text_fields, texts
from worker.stores.keys import API_KEY, TENANT_KEYS, URL_SECRET
from worker.stores.tenants import TENANT_NAME, TenantStore

Scope = Literal[
    "identities:read",
    "identities:write",
    "jobs:write",
    "jobs:read",
    "audit:read",
    "admin",
    "operator",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# What concerns all tenants; only the command line gives it away.
OPERATOR_SCOPE: Scope = "operator"
TENANT_SCOPES: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope != OPERATOR_SCOPE)
# Fixed lengths: what is no token is refused without asking the store.
TOKEN = re.compile(r"lk_([0-9a-f]{16})_([0-9a-f]{64})")
# Something to compare with for keys that do not exist.
NOBODY = hashlib.sha256(b"no key has this hash").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """A key as it may be shown: everything but the secret. Times are seconds since the epoch.

    One with an `origin` is a browser token: it serves pages of that origin only, and ends with its
    `parent`, the key that made it.
    """

    id: str
    tenant: str
    scopes: frozenset[Scope]
    name: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    origin: str | None = None
    parent: str | None = None


class KeyStore:
    """Makes, checks and revokes keys."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._tenants = TenantStore(redis)

    def create(
        self, tenant: str, scopes: Iterable[Scope], name: str = "", expires_at: float | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return it and its token, which is shown this once and kept nowhere."""
        if not TENANT_NAME.fullmatch(tenant):
            raise ValueError("a tenant's name has 1 to 63 of a-z, 0-9, _ and -")

        key_id = secrets.token_hex(8)
        key = ApiKey(
            id=key_id,
            tenant=tenant,
            scopes=frozenset(scopes),
            name=name,
            created_at=self._clock(),
            expires_at=expires_at,
            revoked_at=None,
        )
        token = self.save(key)

        with reaching(), self._redis.pipeline() as pipeline:
            pipeline.sadd(TENANT_KEYS(tenant), key_id)
            # In one transaction with the key: a tenant is known as soon as it has a key.
            self._tenants.add(tenant, pipeline)
            pipeline.execute()

        return key, token

    def save(self, key: ApiKey, ttl_s: int | None = None) -> str:
        """Store a key that is in no listing yet, and return its token; it is gone after `ttl_s`."""
        # 256 random bits need no slow hash: there is nothing to guess from.
        secret = secrets.token_bytes(32)
        fields = _to_fields(key) | {"sha256": hashlib.sha256(secret).hexdigest()}

        with reaching():
            self._redis.hset(API_KEY(key.id), mapping=as_hash(fields))
            if ttl_s is not None:
                self._redis.expire(API_KEY(key.id), ttl_s)

        return f"lk_{key.id}_{secret.hex()}"

    def url_secret(self) -> bytes:
        """Return what signs the URLs of results; made when first asked for."""
        with reaching():
            self._redis.set(URL_SECRET(), secrets.token_hex(32), nx=True)
            return texts([cast(bytes, self._redis.get(URL_SECRET()))])[0].encode()

    def verify(self, token: str) -> ApiKey:
        """Return the key that a token belongs to.

        It is read from the store each time, so that a revocation holds at once.

        Raises:
            KeyRefused, StoreUnavailable
        """
        match = TOKEN.fullmatch(token)
        if match is None:
            raise KeyRefused
        with reaching():
            fields = text_fields(self._redis.hgetall(API_KEY(match[1])))

        given = hashlib.sha256(bytes.fromhex(match[2])).hexdigest()
        # Compared also for unknown keys, so that the time taken does not tell which ids exist.
        matches = hmac.compare_digest(given, fields.get("sha256", NOBODY))

        if not fields or not matches:
            raise KeyRefused

        key = _from_fields(match[1], fields)
        if self._has_ended(key):
            raise KeyRefused

        return key

    def get(self, key_id: str, tenant: str | None = None) -> ApiKey:
        """Return a key's record; raises UnknownKey, also when it is another tenant's."""
        with reaching():
            fields = text_fields(self._redis.hgetall(API_KEY(key_id)))

        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise UnknownKey

        return _from_fields(key_id, fields)

    def is_active(self, key_id: str) -> bool:
        """Whether a key exists and has not ended."""
        try:
            return not self._has_ended(self.get(key_id))
        except UnknownKey:
            return False

    def list(self, tenant: str) -> Sequence[ApiKey]:
        """Return the tenant's keys, oldest first."""
        with reaching():
            ids = texts(self._redis.smembers(TENANT_KEYS(tenant)))
        return sorted((self.get(key_id) for key_id in ids), key=lambda key: key.created_at)

    def revoke(self, key_id: str, tenant: str | None = None, after_s: float = 0.0) -> ApiKey:
        """End a key, at once or after a while, but never later than it would have ended.

        Raises UnknownKey.
        """
        key = self.get(key_id, tenant)
        end = self._clock() + after_s

        # A second revocation never prolongs a key's life.
        if key.revoked_at is None or end < key.revoked_at:
            with reaching():
                self._redis.hset(API_KEY(key_id), "revoked_at", repr(end))

        return self.get(key_id)

    def rotate(
        self, key_id: str, tenant: str | None = None, overlap_s: float = 0.0
    ) -> tuple[ApiKey, str]:
        """Make a key in place of an old one, which stays valid for `overlap_s`.

        Raises UnknownKey, also for a key that has ended: whoever still holds it must not be served
        again.
        """
        old = self.get(key_id, tenant)
        if self._has_ended(old):
            raise UnknownKey("The key has ended; make a new one.")

        # First the new key: a crash in between leaves two keys, not none.
        made = self.create(old.tenant, old.scopes, old.name, old.expires_at)
        self.revoke(key_id, after_s=overlap_s)
        return made

    def _has_ended(self, key: ApiKey) -> bool:
        # The moment itself counts as over.
        ends = (key.revoked_at, key.expires_at)
        if any(end is not None and end <= self._clock() for end in ends):
            return True
        return key.parent is not None and not self.is_active(key.parent)


def _to_fields(key: ApiKey) -> dict[str, str]:
    fields = {"tenant": key.tenant, "scopes": json.dumps(sorted(key.scopes)), "name": key.name}
    fields |= {name: text for name in ("origin", "parent") if (text := getattr(key, name))}
    times = {
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
    return fields | {name: repr(moment) for name, moment in times.items() if moment is not None}


def _from_fields(key_id: str, fields: Mapping[str, str]) -> ApiKey:
    return ApiKey(
        id=key_id,
        tenant=fields["tenant"],
        scopes=frozenset(cast(list[Scope], json.loads(fields["scopes"]))),
        name=fields["name"],
        created_at=float(fields["created_at"]),
        expires_at=float(fields["expires_at"]) if "expires_at" in fields else None,
        revoked_at=float(fields["revoked_at"]) if "revoked_at" in fields else None,
        origin=fields.get("origin"),
        parent=fields.get("parent"),
    )
