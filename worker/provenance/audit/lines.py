"""One line of the audit trail, as text in a file and back, and which lines a reader wants."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass

from worker.errors import AuditBroken
from worker.stores.audit_log import AuditEntry


@dataclass(frozen=True)
class AuditLine:
    """One line of the archive."""

    entry: AuditEntry
    previous: str
    mac: str


@dataclass(frozen=True)
class AuditFilter:
    """Which entries a reader wants; times are seconds since the epoch, `after` a number.

    `about` also finds entries that name an id beside their subject, such as a job's outputs by one
    of its identities.
    """

    tenant: str | None = None
    event: str | None = None
    subject: str | None = None
    since: float = 0.0
    until: float = float("inf")
    after: int = 0
    before: float = float("inf")
    about: str | None = None

    def wants(self, entry: AuditEntry) -> bool:
        """Return whether an entry is among them."""
        body = entry.body
        return (
            self.after < entry.seq < self.before
            and self.tenant in (None, body["tenant"])
            and self.event in (None, body["event"])
            and self.subject in (None, body["subject"])
            and self.since <= float(body["at"]) < self.until
            and (self.about is None or self.about in _named(body))
        )


def read_line(text: str) -> AuditLine:
    """Return the line that a text holds; raises AuditBroken."""
    try:
        fields = json.loads(text)
        entry = AuditEntry(seq=int(fields["seq"]), body=fields["body"])
        return AuditLine(entry=entry, previous=fields["previous"], mac=fields["mac"])
    except (ValueError, KeyError, TypeError) as error:
        raise AuditBroken("A line of the audit trail cannot be read.") from error


def day_of(seconds: float) -> str:
    """Return the day, in UTC, of a time in seconds since the epoch."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d")


def _named(body: Mapping[str, str]) -> list[str]:
    """Return the ids that an entry names."""
    identities = body.get("identities", "").split(",")
    return [body["subject"], body.get("job", ""), body.get("entry", ""), *identities]
