"""Who did what to whose data: append-only, each entry bound to the one before by a hash.

Entries name events and ids; never an image, an embedding or a user's file name.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from redis import Redis

from worker.errors import StoreUnavailable, WorkerError
from worker.stores.connection import Reply, Scripts, reaching, text_fields

GENESIS = "0" * 64
MAX_TRIES = 50


class AuditBroken(WorkerError):
    code = "audit_broken"
    message = "The audit log was changed after it was written."


@dataclass(frozen=True)
class AuditEntry:
    """One line: `sha256` covers `previous` and `body`."""

    id: str
    previous: str
    body: Mapping[str, str]
    sha256: str


class AuditLog:
    """A stream of entries in the store."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._scripts = Scripts(redis)

    def append(self, event: str, tenant: str, actor: str, subject: str = "", **details: str) -> str:
        """Add an entry; returns its hash.

        `actor` is a key's id, `subject` the id of what was touched.
        """
        body = {
            "event": event,
            "tenant": tenant,
            "actor": actor,
            "subject": subject,
            "at": repr(self._clock()),
        }
        text = json.dumps(body | details, sort_keys=True, separators=(",", ":"))
        for _ in range(MAX_TRIES):  # another writer may have come in between
            with reaching():
                head: Reply = self._redis.get("lk:audit:head")
            previous = head.decode() if head else GENESIS
            sha256 = chain(previous, text)
            arguments = {"expected": previous, "genesis": GENESIS, "body": text, "sha256": sha256}
            if self._scripts.run("append_audit", arguments):
                return sha256
        raise StoreUnavailable("The audit log is too busy.")

    def entries(self, tenant: str | None = None, batch: int = 500) -> Iterator[AuditEntry]:
        """All entries, oldest first; with a tenant, only that tenant's."""
        after = "-"
        while True:
            with reaching():
                rows: Reply = self._redis.xrange("lk:audit", min=after, count=batch)
            for row_id, fields in rows:
                entry = _read(row_id.decode(), text_fields(fields))
                if tenant in (None, entry.body.get("tenant")):
                    yield entry
            if len(rows) < batch:
                return
            after = f"({rows[-1][0].decode()}"

    def verify(self) -> int:
        """How many entries there are, all of them as they were written.

        Raises:
            AuditBroken: an entry was changed, removed or slipped in.
        """
        previous, count = GENESIS, 0
        for entry in self.entries():
            body = json.dumps(dict(entry.body), sort_keys=True, separators=(",", ":"))
            if entry.previous != previous or entry.sha256 != chain(previous, body):
                raise AuditBroken
            previous, count = entry.sha256, count + 1
        with reaching():
            head: Reply = self._redis.get("lk:audit:head")
        if (head.decode() if head else GENESIS) != previous:
            raise AuditBroken
        return count


def chain(previous: str, body: str) -> str:
    """The hash that binds an entry's body to the entry before."""
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def _read(row_id: str, fields: Mapping[str, str]) -> AuditEntry:
    return AuditEntry(row_id, fields["previous"], json.loads(fields["body"]), fields["sha256"])
