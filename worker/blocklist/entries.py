"""The never-swap list in the store.

The list is biometric data of people who are not customers: nothing but the mean embedding of their
photos is kept, sealed with a key outside the store, and nothing ever exports it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import cast

from redis import Redis

from worker.blocklist.records import (
    BlockedFace,
    BlocklistEntry,
    Face,
    State,
    as_face,
    from_fields,
    to_fields,
)
from worker.blocklist.sealing import Sealer
from worker.errors import BlocklistFull, BlocklistUnreadable, UnknownBlocklistEntry
from worker.stores.connection import Reply, as_hash, reaching, text_fields, texts
from worker.stores.erasure import want_rewrite
from worker.stores.ids import is_id
from worker.stores.keys import BLOCKED, BLOCKLIST, BLOCKLIST_VERSION
from worker.stores.upkeep import Upkeep

# Comparing one face with so many takes 60 ms; see CROWDED_AT for how few are advisable.
MOST_ENTRIES = 10_000
# Anybody may ask, so what waits for a decision is bounded by itself.
MOST_PENDING = 500
UNREADABLE = "(sealed with another key)"
# Above it the open pack's encoder refuses too many others (docs/trust.md).
CROWDED_AT = 100


class BlocklistStore:
    """Entries of one installation; many processes read, few write."""

    def __init__(self, redis: Redis, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self.redis = redis
        self._sealer = Sealer(key)
        self._clock = clock
        self._upkeep = Upkeep(redis, clock)
        # One thread reads the list anew, the others wait for it: opening 10,000 entries takes a
        # while.
        self._reading = Lock()
        self._version = b""
        self._faces: list[BlockedFace] = []

    def add(self, entry: BlocklistEntry, face: Face, token: str = "") -> None:
        """Keep an entry; `token` lets the person it is about withdraw it.

        Raises BlocklistFull, StoreError.
        """
        # Counted before the write: two at once may pass the bound by one, which does no harm.
        if self.count() >= MOST_ENTRIES or (
            entry.state == "pending" and len(self.newest_first("pending")) >= MOST_PENDING
        ):
            raise BlocklistFull

        key = BLOCKED(entry.id)
        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hset(key, mapping=as_hash(to_fields(entry, token)))
            pipeline.hset(key, "sealed", self._sealed(entry, face))
            pipeline.zadd(BLOCKLIST(), {entry.id: entry.created_at})
            # Biometric data of people who are no customers must end by itself.
            self._upkeep.expire_at(entry.id, entry.expires_at, pipeline)
            # In one transaction with the entry: no process may keep an older list.
            pipeline.incr(BLOCKLIST_VERSION())
            pipeline.execute()

    def get(self, entry_id: str) -> BlocklistEntry:
        """Return an entry; raises UnknownBlocklistEntry, BlocklistUnreadable."""
        fields, sealed = self._fields(entry_id)
        return from_fields(fields, self._opened(entry_id, sealed))

    def owned(self, entry_id: str, token: str) -> BlocklistEntry:
        """Return the entry that a person asked for with this token.

        Raises UnknownBlocklistEntry, also for a wrong token.
        """
        fields, _ = self._fields(entry_id)
        known = fields.get("token_sha256", "")
        given = hashlib.sha256(token.encode()).hexdigest()

        # In constant time, and entries of an operator have no token to guess.
        if not known or not hmac.compare_digest(known, given):
            raise UnknownBlocklistEntry

        return self.get(entry_id)

    def newest_first(self, state: State | None = None) -> list[BlocklistEntry]:
        """Return all entries, newest first, or those of one state."""
        with reaching():
            ids = texts(self.redis.zrevrange(BLOCKLIST(), 0, -1))

        found = []
        for entry_id in ids:
            try:
                fields, sealed = self._fields(entry_id)
            except UnknownBlocklistEntry:
                continue  # removed meanwhile
            if state in (None, fields["state"]):
                found.append(from_fields(fields, self._shown(entry_id, sealed)))

        return found

    def count(self) -> int:
        """Return how many entries there are, pending ones included."""
        with reaching():
            held: Reply = self.redis.zcard(BLOCKLIST())
            return int(held)

    def activate(self, entry_id: str, expires_at: float) -> BlocklistEntry:
        """Let a request take effect until `expires_at`; raises UnknownBlocklistEntry."""
        entry = replace(self.get(entry_id), state="active", expires_at=expires_at)
        changed = {"state": "active", "expires_at": repr(expires_at)}

        with reaching(), self.redis.pipeline() as pipeline:
            pipeline.hset(BLOCKED(entry_id), mapping=as_hash(changed))
            self._upkeep.reschedule(entry_id, expires_at, pipeline)
            pipeline.incr(BLOCKLIST_VERSION())
            pipeline.execute()

        return entry

    def remove(self, entry_id: str) -> None:
        """Erase an entry, also from the store's append-only file within a minute.

        Raises UnknownBlocklistEntry.
        """
        if not erase_entry(self.redis, entry_id, self._clock()):
            raise UnknownBlocklistEntry

        self._upkeep.deleted(entry_id)

    def faces(self, version: bytes | None = None) -> Sequence[BlockedFace]:
        """Return the faces of all entries in effect, opened once for each change of the list.

        `version` is the list's, where it has just been read.
        """
        if version is None:
            with reaching():
                version = cast(bytes | None, self.redis.get(BLOCKLIST_VERSION())) or b""

        with self._reading:
            # Asked for at each comparison, because a removed person must be free at once.
            if version != self._version:
                self._faces = self._read_faces()
                self._version = version
            return self._faces

    def _read_faces(self) -> list[BlockedFace]:
        with reaching():
            ids = texts(self.redis.zrange(BLOCKLIST(), 0, -1))

        faces = []
        for entry_id in ids:
            try:
                fields, sealed = self._fields(entry_id)
            except UnknownBlocklistEntry:
                continue
            if fields["state"] == "active":
                face = base64.b64decode(self._opened(entry_id, sealed)["face"])
                faces.append(BlockedFace(entry_id, fields["pack"], as_face(face)))

        return faces

    def _sealed(self, entry: BlocklistEntry, face: Face) -> bytes:
        kept = {
            "face": base64.b64encode(face.tobytes()).decode(),
            "label": entry.label,
            "contact": entry.contact,
        }
        return self._sealer.seal(entry.id, json.dumps(kept).encode())

    def _shown(self, entry_id: str, sealed: bytes) -> dict[str, str]:
        """Return what is shown of an entry; one that cannot be opened must still be erasable."""
        try:
            return self._opened(entry_id, sealed)
        except BlocklistUnreadable:
            return {"label": UNREADABLE, "contact": ""}

    def _opened(self, entry_id: str, sealed: bytes) -> dict[str, str]:
        return dict(json.loads(self._sealer.open(entry_id, sealed)))

    def _fields(self, entry_id: str) -> tuple[dict[str, str], bytes]:
        if not is_id(entry_id, "blk"):
            raise UnknownBlocklistEntry
        with reaching():
            reply: Reply = self.redis.hgetall(BLOCKED(entry_id))

        sealed = reply.pop(b"sealed", None)
        if sealed is None:
            raise UnknownBlocklistEntry

        return text_fields(reply), sealed


def erase_entry(redis: Redis, entry_id: str, now: float) -> bool:
    """Erase an entry; return whether there was one."""
    if not is_id(entry_id, "blk"):
        return False

    with reaching(), redis.pipeline() as pipeline:
        pipeline.delete(BLOCKED(entry_id))
        pipeline.zrem(BLOCKLIST(), entry_id)
        pipeline.incr(BLOCKLIST_VERSION())
        # As after the erasure of an identity: the append-only file is rewritten without it.
        want_rewrite(pipeline, now)
        return bool(pipeline.execute()[0])
