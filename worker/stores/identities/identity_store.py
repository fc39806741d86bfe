"""Identities in the store: a record with the key to what is sealed of a face, a cache of weights,
and a tombstone once erased.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from worker.errors import IdentityErased, MediaUnavailable, StoreUnavailable, UnknownIdentity
from worker.stores.connection import texts
from worker.stores.identities.identity_records import ErasureReceipt, IdentityRecord
from worker.stores.identities.identity_register import IdentityRegister
from worker.stores.identities.identity_vault import IdentityVault, Key, SealBroken, new_key
from worker.stores.identities.weight_store import LOCK_TTL_S, WeightsCorrupt, WeightStore

log = logging.getLogger(__name__)

LOCK_POLL_S = 0.02  # short beside a rebuild, which takes about a second
CODE = "code"  # its name in the vault


@dataclass(frozen=True)
class IdentityLimits:
    """How much is cached, and for how long an erasure can be proved."""

    weights_bytes: int = 256 << 20  # about 330 identities of 807 KB
    tombstone_ttl_s: int = 365 * 86400


class IdentityStore(IdentityRegister):
    """Codes and weights of identities, beside their records.

    `on_outdated` is called with the id of an identity whose refined weights belong to an earlier
    pack.
    """

    on_outdated: Callable[[str], None] | None = None

    def __init__(
        self,
        redis: Redis,
        vault: IdentityVault,
        limits: IdentityLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits or IdentityLimits()
        super().__init__(redis, WeightStore(redis, self._limits.weights_bytes, clock), clock)
        self._vault = vault

    def put(self, record: IdentityRecord, code: bytes, weights: bytes) -> None:
        """Persist a new identity, and cache its weights for as long as there is room.

        Raises:
            StoreUnavailable, StoreFull, MediaUnavailable, DiskFull: nothing is kept that could be
            read.
        """
        # Sealed first: without a record nobody has the key, and the sweep removes it.
        key = new_key()
        self._vault.put(record.id, CODE, key, code)
        self._add(record, key)
        self.put_weights(record.id, record.pack, weights)

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
        sealed = self._refined(identity_id, pack)
        if sealed is None:
            return None

        name, key = sealed
        try:
            weights = self._vault.get(identity_id, name, key)
        except (SealBroken, FileNotFoundError):
            log.exception("refined weights are lost", extra={"identity": identity_id, "pack": pack})
            self._drop_refined(identity_id, pack)
            return None

        self._weights.put(identity_id, pack, weights, refined=True)
        return weights

    def _drop_refined(self, identity_id: str, pack: str) -> None:
        self._forget_refined(identity_id, pack)
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
                    self._note_outdated(identity_id)
                    return built

            time.sleep(LOCK_POLL_S)

        raise StoreUnavailable("The identity's weights could not be rebuilt in time.")

    def _note_outdated(self, identity_id: str) -> None:
        """Say of an identity whose weights had to be derived that it is no longer refined.

        What was refined belongs to another pack: an update of the pack leaves it behind.
        """
        with suppress(UnknownIdentity, IdentityErased):
            if self.peek(identity_id).quality == "refined":
                self.annotate(identity_id, quality="instant", refinement={"status": "outdated"})
                if self.on_outdated is not None:
                    self.on_outdated(identity_id)

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


def _key(fields: Mapping[str, str]) -> Key:
    return bytes.fromhex(fields["key"])
