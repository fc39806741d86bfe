"""Who did what to whose data, as it happens: numbered entries in the store.

The leading worker moves them into the audit archive, which chains and signs them, about once a
second. Entries name events and ids; never an image, an embedding or a user's file name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from worker.stores.connection import Reply, reaching, text_fields
from worker.stores.keys import AUDIT, AUDIT_SEQ, POLICY
from worker.stores.scripts import Scripts

# A second's entries of a busy installation; an outage's are fetched batch by batch.
BATCH = 1000


@dataclass(frozen=True)
class AuditEntry:
    """One entry; numbers begin at 1 and have no gaps."""

    seq: int
    body: Mapping[str, str]


class AuditLog:
    """Appends entries, and holds those that are not archived yet."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._scripts = Scripts(redis)

    def append(self, event: str, tenant: str, actor: str, subject: str = "", **details: str) -> int:
        """Add an entry and return its number.

        `actor` is a key's id, `subject` the id of what was touched. Raises StoreError.
        """
        body = entry_body(self._clock(), event, tenant, actor, subject, **details)
        return int(str(self._scripts.run("append_audit", {"body": body})))

    def note_policy(self, role: str, policy: Mapping[str, str]) -> bool:
        """Note the settings of a refusal or a mark where they differ from the last start's.

        `role` is "service" or "worker". Return whether they did. Raises StoreError.
        """
        with reaching():
            known: Reply = self._redis.get(POLICY(role))

        before = json.loads(known) if known else {}
        changed = [name for name, value in policy.items() if before.get(name) != value]
        if not changed:
            return False

        about = {"changed": ",".join(sorted(changed)), **policy}
        arguments = {
            "role": role,
            "policy": json.dumps(policy, sort_keys=True),
            "body": entry_body(self._clock(), "policy.changed", "", role, **about),
        }
        return bool(self._scripts.run("note_policy", arguments))

    def pending(self, count: int = BATCH) -> list[AuditEntry]:
        """Return the oldest entries that are not archived yet."""
        with reaching():
            rows: Reply = self._redis.xrange(AUDIT(), count=count)
        return [_entry(text_fields(fields)) for _, fields in rows]

    def drop(self, entries: Sequence[AuditEntry]) -> None:
        """Remove entries that the archive holds on disk, oldest first as `pending` gave them."""
        with reaching():
            rows: Reply = self._redis.xrange(AUDIT(), count=len(entries))
            # By number, not by count: another leader may have dropped some meanwhile.
            ids = [row_id for row_id, fields in rows if int(fields[b"seq"]) <= entries[-1].seq]

            if ids:
                self._redis.xdel(AUDIT(), *ids)

    def last_seq(self) -> int:
        """Return the number of the newest entry ever appended."""
        with reaching():
            newest: Reply = self._redis.get(AUDIT_SEQ())
        return int(newest or 0)


def entry_body(
    at: float, event: str, tenant: str, actor: str, subject: str = "", **details: str
) -> str:
    """Return an entry's text, for a script that writes it in the step that it tells of."""
    body = {"event": event, "tenant": tenant, "actor": actor, "subject": subject, "at": repr(at)}
    # Canonical: the archive hashes this text.
    return json.dumps(body | details, sort_keys=True, separators=(",", ":"))


def _entry(fields: Mapping[str, str]) -> AuditEntry:
    return AuditEntry(seq=int(fields["seq"]), body=json.loads(fields["body"]))
